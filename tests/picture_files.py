"""Picture files made byte by byte, so that tests of reading do not rely on Pillow's writers."""

import itertools
import struct
import zlib

import numpy as np
from PIL import Image

from nst_core.images.color_profiles import rgb_profile

P3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
"""x and y of white, red, green and blue of Display P3."""

P3_PROFILE = rgb_profile(1 / 2.2, P3)
"""A profile of these colors, with a plain gamma of 2.2, so that NumPy can compute it."""


def png_bytes(width, height, bits, color_type, rows, *chunks):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def tiff_bytes(pixels, *, photometric, planar=1, subfile_type=0):
    """Return an uncompressed little-endian TIFF of (height, width, channels), or planes first."""
    height, width, channels = np.moveaxis(pixels, 0, -1).shape if planar == 2 else pixels.shape
    strips = channels if planar == 2 else 1
    bits, kind = pixels.dtype.itemsize * 8, 3 if pixels.dtype.kind == "f" else 1
    arrays = b""
    tags = []

    def tag(number, *values, field=4):
        nonlocal arrays
        data = struct.pack(f"<{len(values)}{'H' if field == 3 else 'I'}", *values)
        if len(data) > 4:
            data, arrays = struct.pack("<I", 1000 + len(arrays)), arrays + data
        tags.append(struct.pack("<HHI", number, field, len(values)) + data.ljust(4, b"\0"))

    tag(254, subfile_type)
    tag(256, width)
    tag(257, height)
    tag(258, *[bits] * channels, field=3)
    tag(259, 1, field=3)
    tag(262, photometric, field=3)
    tag(273, *[2000 + index * pixels.nbytes // strips for index in range(strips)])
    tag(277, channels, field=3)
    tag(278, height)
    tag(279, *[pixels.nbytes // strips] * strips)
    tag(284, planar, field=3)
    tag(339, *[kind] * channels, field=3)
    directory = struct.pack("<H", len(tags)) + b"".join(tags) + struct.pack("<I", 0)
    head = (b"II*\0" + struct.pack("<I", 8) + directory).ljust(1000, b"\0") + arrays
    return head.ljust(2000, b"\0") + pixels.tobytes()


def adobe_cmyk_jpeg_bytes(stored, profile=b""):
    """Return a JPEG with an Adobe marker: 8 x 8 pixels, each component at one level (0 or 255).

    Quantization by 8 makes the DC coefficient `level - 128`: -128 or 127.
    """
    bits = ""
    for level in stored:
        bits += "01" + f"{127:08b}" if level == 0 else "00" + f"{127:07b}"
        bits += "0"  # end of block
    bits += "1" * (-len(bits) % 8)
    scan = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))

    def segment(marker, data):
        return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data

    dc = b"\x00" + bytes([0, 2] + [0] * 14) + bytes([7, 8])
    ac = b"\x10" + bytes([1] + [0] * 15) + b"\0"
    return b"".join(
        [
            b"\xff\xd8",
            segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 0)),
            segment(0xE2, b"ICC_PROFILE\0\1\1" + profile) if profile else b"",
            segment(0xDB, b"\0" + bytes([8] * 64)),
            segment(
                0xC0,
                struct.pack(">BHHB", 8, 8, 8, 4) + b"\1\x11\0\2\x11\0\3\x11\0\4\x11\0",
            ),
            segment(0xC4, dc),
            segment(0xC4, ac),
            segment(0xDA, bytes([4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0])),
            scan.replace(b"\xff", b"\xff\0"),
            b"\xff\xd9",
        ]
    )


# ICC profiles made by hand (ICC.1:2001-04): their effect is known in closed form.


def _fixed(*values):
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _xyz(*values):
    return b"XYZ \0\0\0\0" + _fixed(*values)


LINEAR_CURVE = b"curv" + bytes(8)
D50 = _xyz(0.9642, 1.0, 0.8249)
RED = _xyz(0.4360747, 0.2225045, 0.0139322)
GREEN = _xyz(0.3850649, 0.7168786, 0.0971045)
BLUE = _xyz(0.1430804, 0.0606169, 0.7141733)


def icc_bytes(space, tags, kind=b"mntr", connection=b"XYZ "):
    tags = {b"desc": b"desc\0\0\0\0\0\0\0\1\0" + bytes(78), b"wtpt": D50, **tags}
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    head = struct.pack(
        ">I4sI4s4s4s", start + len(data), bytes(4), 0x02400000, kind, space, connection
    )
    head += (
        struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(0.9642, 1, 0.8249)
    )
    return head.ljust(128, b"\0") + table + data


CURVES = dict.fromkeys([b"rTRC", b"gTRC", b"bTRC"], LINEAR_CURVE)
LINEAR_RGB = icc_bytes(b"RGB ", {b"rXYZ": RED, b"gXYZ": GREEN, b"bXYZ": BLUE, **CURVES})
SWAPPED_LINEAR_RGB = icc_bytes(b"RGB ", {b"rXYZ": BLUE, b"gXYZ": GREEN, b"bXYZ": RED, **CURVES})
GRAY_GAMMA = 461 / 256
GRAY = icc_bytes(b"GRAY", {b"kTRC": b"curv" + bytes(4) + struct.pack(">IH", 1, 461)})


def cyan_is_gray_profile():
    """Return a profile CMYK -> Lab: lightness 50.2 with cyan, 0 with black, 100 without both.

    Other inks have no effect. There is a black of lightness 0 because conversion stretches the
    darkest ink to it. All this is in the perceptual table; the colorimetric one, A2B1, makes
    everything black.
    """
    ramp = bytes(range(256))
    corners = itertools.product((0, 1), repeat=4)  # cyan varies slowest
    grid = b"".join(
        bytes([0 if black else 128 if cyan else 255, 128, 128]) for cyan, _, _, black in corners
    )
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + ramp * 4
    tables = {b"A2B0": lut + grid + ramp * 3, b"A2B1": lut + bytes([0, 128, 128] * 16) + ramp * 3}
    return icc_bytes(b"CMYK", tables, b"prtr", b"Lab ")


def srgb_encoded(linear):
    linear = np.asarray(linear, np.float64)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data.tobytes()
