"""Pictures that are stored in rare ways; NumPy computes what they must look like."""

import io
import logging
import struct
import subprocess
import sys
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nst_core.images.decoder_notices import gathered
from nst_core.images.picture_files import PictureError
from nst_core.images.read import examine, load, read_header
from tests.fuzzing import bounded
from tests.picture_files import LINEAR_RGB, exif, png_bytes, srgb_encoded, tiff_bytes

LEVEL = 1 / 255
RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def packed(levels, bits):
    """Return rows of levels as bytes, each row padded to full bytes."""
    rows = ["".join(f"{level:0{bits}b}" for level in row) for row in levels]
    padded = [row.ljust(-(-len(row) // 8) * 8, "0") for row in rows]
    return [bytes(int(row[at : at + 8], 2) for at in range(0, len(row), 8)) for row in padded]


def integer_tiff(levels, bits, *, signed=False, samples=1, compressed=False, order="<"):
    """Return a TIFF file of integer levels (height, width) of this many bits each."""
    height, width = levels.shape
    if bits == 16:
        data = levels.astype(f"{order}{'i' if signed else 'u'}2").tobytes()
    elif bits == 8:
        data = levels.astype("i1" if signed else "u1").tobytes()
    else:
        data = b"".join(packed(levels, bits))
    data = zlib.compress(data) if compressed else data
    tags = [
        *((256, width // samples), (257, height), (258, bits), (259, 8 if compressed else 1)),
        *((262, 2 if samples == 3 else 1), (273, 500), (277, samples), (278, height)),
        *((279, len(data)), (339, 2 if signed else 1)),
    ]
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags)
    magic = b"II*\0" if order == "<" else b"MM\0*"
    head = magic + struct.pack(f"{order}IH", 8, len(tags)) + entries + bytes(4)
    return head.ljust(500, b"\0") + data


# Depth


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
def test_gray_tiff_is_scaled_by_its_own_depth(save, bits, compressed):
    top = 2**bits - 1
    levels = np.linspace(0, top, 15).round().astype(int).reshape(3, 5)
    rgb = load(save("a.tif", integer_tiff(levels, bits, compressed=compressed))).rgb
    np.testing.assert_allclose(rgb[..., 0], levels / top, atol=1e-6)


def test_signed_levels_are_scaled_by_their_own_maximum(save):
    levels = np.array([[0, 16384, 32767]])
    rgb = load(save("a.tif", integer_tiff(levels, 16, signed=True))).rgb
    np.testing.assert_allclose(rgb[..., 0], levels / 32767, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (integer_tiff(np.array([[-5, 3]]), 16, signed=True), "from -5 to 3, expected 0 to 32"),
        (integer_tiff(np.array([[-5, 3]]), 8, signed=True), "signed levels"),
        (integer_tiff(np.zeros((2, 6), int), 10), "BitsPerSample|bits \\(10,\\)"),
        (integer_tiff(np.zeros((2, 6), int), 14), "bits \\(14,\\)"),
        (integer_tiff(np.zeros((2, 6), int), 12, order=">"), "bits \\(12,\\)"),
        (integer_tiff(np.zeros((2, 6), int), 12, samples=3), "samples 3, bits \\(12,\\)"),
        (tiff_bytes(np.zeros((2, 2, 3), np.float32), photometric=2), "bits \\(32, 32, 32\\)"),
    ],
)
def test_unsupported_depths_are_refused_by_name(save, content, found):
    path = save("odd.tif", content)
    for read in (examine, load):
        with pytest.raises(PictureError, match=rf"odd\.tif.*({found})"):
            read(path)


# Color keys


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_the_color_key_of_gray_is_transparent_at_every_depth(save, bits):
    top = 2**bits - 1
    levels = np.linspace(0, top, 12).round().astype(int).reshape(2, 6)
    key = levels[1, 2]
    rows = [row.astype(">u2").tobytes() for row in levels] if bits == 16 else packed(levels, bits)
    # Bits beyond the depth are ignored.
    stored = struct.pack(">H", key | (0xFF00 if bits <= 8 else 0))
    picture = load(save("a.png", png_bytes(6, 2, bits, 0, rows, (b"tRNS", stored))))
    np.testing.assert_array_equal(picture.alpha, levels != key)
    expected = np.where(levels == key, 1, levels / top)
    np.testing.assert_allclose(picture.rgb[..., 1], expected, atol=LEVEL / 1.9)


def test_the_key_of_16_bit_colors_is_compared_in_all_bits(save):
    levels = np.full((1, 4, 3), 0x1234)
    levels[0, 1, 2], levels[0, 2], levels[0, 3, 0] = 0x1235, (0x1234, 0x12FF, 0x1234), 0x9234
    key = struct.pack(">3H", 0x1234, 0x1234, 0x1234)
    content = png_bytes(4, 1, 16, 2, [levels.astype(">u2").tobytes()], (b"tRNS", key))
    picture = load(save("a.png", content))
    np.testing.assert_array_equal(picture.alpha, [[0, 1, 1, 1]])
    np.testing.assert_allclose(picture.rgb[0, 1:], levels[0, 1:] / 65535, atol=LEVEL)


@pytest.mark.parametrize(("bits", "color_type"), [(4, 0), (16, 0), (8, 2), (16, 2)])
def test_a_key_that_no_pixel_has_makes_nothing_transparent(save, bits, color_type):
    rows = [bytes([17] * (6 * bits * (3 if color_type else 1) // 8))] * 2
    without = save("a.png", png_bytes(6, 2, bits, color_type, rows))
    key = (b"tRNS", struct.pack(">3H", 0, 0, 1))
    path = save("b.png", png_bytes(6, 2, bits, color_type, rows, key))
    assert load(path).alpha is None
    assert examine(path).sha256 == examine(without).sha256


# Alpha


def bitmap(pixels):
    """Return a BMP file of 32 bits with an alpha channel, bottom row first."""
    height, width, _ = pixels.shape
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, 0, 0, 0, 0, 0) + masks
    header = header.ljust(108, b"\0")
    data = pixels[::-1, :, [2, 1, 0, 3]].tobytes()
    return b"BM" + struct.pack("<IHHI", 122 + len(data), 0, 0, 122) + header + data


def test_alpha_of_0_everywhere_is_ignored_in_a_bitmap(save):
    unused = load(save("a.bmp", bitmap(np.dstack([RGB, np.zeros_like(RGB[..., 0])]))))
    assert unused.alpha is None
    np.testing.assert_allclose(unused.rgb, RGB / 255, atol=1e-6)
    alpha = np.zeros_like(RGB[..., 0])
    alpha[2, 3] = 200
    used = load(save("b.bmp", bitmap(np.dstack([RGB, alpha]))))
    np.testing.assert_allclose(used.alpha, alpha / 255, atol=1e-6)


def test_a_png_may_be_transparent_everywhere(save):
    path = save("a.png", np.dstack([RGB, np.zeros_like(RGB[..., 0])]))
    assert (load(path).alpha == 0).all()
    assert examine(path).hidden == 1


def test_hidden_pixels_and_flat_pictures_are_detected(save):
    half = np.dstack([RGB, np.zeros_like(RGB[..., 0])])
    half[:, 4:, 3] = 255
    facts = examine(save("half.png", half))
    assert (facts.hidden, facts.is_flat) == (0.5, False)
    assert examine(save("a.png", RGB)).hidden == 0
    flat = np.full((5, 5, 3), (200, 90, 3), np.uint8)
    assert examine(save("flat.png", flat)).is_flat
    flat[2, 2] += 2
    assert examine(save("nearly.png", flat)).is_flat
    flat[2, 2] += 1
    assert not examine(save("not.png", flat)).is_flat
    assert examine(save("deep.png", np.full((5, 5), 999, np.uint16))).is_flat


# GIF canvases


def gif(canvas, frame, palette):
    """Return a GIF: one frame (left, top, width, height) of index 1 on a canvas (width, height)."""
    left, top, width, height = frame
    codes = "".join("100" + "001" for _ in range(width * height)) + "101"  # clear, index 1; end
    bits = codes_to_bytes(codes)
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", *canvas, 0x80, 0, 0)
        + bytes(palette)
        + b","
        + struct.pack("<HHHHB", left, top, width, height, 0)
        + b"\x02"
        + bytes([len(bits)])
        + bits
        + b"\0;"
    )


def codes_to_bytes(codes):
    """Pack codes of 3 bits into bytes, the first into the lowest bits."""
    groups = [codes[at : at + 3] for at in range(0, len(codes), 3)]
    number = sum(int(group, 2) << (3 * index) for index, group in enumerate(groups))
    return number.to_bytes(-(-3 * len(groups) // 8), "little")


@pytest.mark.parametrize("palette", [[9, 8, 7, 200, 100, 50], [0, 0, 0, 255, 255, 255]])
def test_the_canvas_around_the_first_frame_of_a_gif_is_transparent(save, palette):
    picture = load(save("a.gif", gif((7, 5), (2, 1, 3, 2), palette)))
    covered = np.zeros((5, 7))
    covered[1:3, 2:5] = 1
    np.testing.assert_array_equal(picture.alpha, covered)
    np.testing.assert_allclose(picture.rgb[1, 2] * 255, palette[3:], atol=1e-4)
    np.testing.assert_array_equal(picture.rgb[0, 0], 1)


def test_a_frame_that_covers_the_canvas_is_opaque(save):
    assert load(save("a.gif", gif((3, 2), (0, 0, 3, 2), [9, 8, 7, 200, 100, 50]))).alpha is None


# Orientation

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="6"/>'
    b"</rdf:RDF></x:xmpmeta>"
)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_orientation_in_xmp_alone_is_ignored(save, name):
    wide = np.zeros((16, 32, 3), np.uint8)
    options = {"tiffinfo": {700: XMP}} if name == "a.tif" else {"xmp": XMP}
    if name == "a.png":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP)
        options = {"pnginfo": text}
    path = save(name, wide, **options)
    assert b"tiff:Orientation" in path.read_bytes()
    assert read_header(path)[:2] == (32, 16)
    facts = examine(path)
    assert (facts.width, facts.height) == (32, 16)


def moved_behind_the_pixels(data, kind):
    at = data.index(kind) - 4
    size = 12 + int.from_bytes(data[at : at + 4], "big")
    return data[:at] + data[at + size : -12] + data[at : at + size] + data[-12:]


def exif_text(orientation):
    data = exif(orientation)
    text = f"\nexif\n{len(data):8}\n{data.hex()}\n".encode()
    return (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))


@pytest.mark.parametrize("chunk", [(b"eXIf", exif(6)[6:]), exif_text(6)])
@pytest.mark.parametrize("is_late", [False, True])
def test_a_png_is_upright_wherever_its_exif_data_is(save, chunk, is_late):
    content = png_bytes(8, 6, 8, 2, [row.tobytes() for row in RGB], chunk)
    path = save("a.png", moved_behind_the_pixels(content, chunk[0]) if is_late else content)
    assert read_header(path) == (6, 8, "PNG")
    facts = examine(path)
    assert (facts.width, facts.height) == (6, 8)
    np.testing.assert_allclose(load(path).rgb * 255, np.rot90(RGB, -1), atol=1e-4)


# Color without a profile

REC_2020 = (31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600)
SRGB_COLORS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def matrix_to_srgb(chromaticities):
    """Return the matrix from linear light of these primaries to linear sRGB, both with D65."""

    def to_xyz(numbers):
        xy = np.array(numbers, float).reshape(4, 2) / 100_000
        xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in xy]).T
        return xyz[:, 1:] * np.linalg.solve(xyz[:, 1:], xyz[:, 0])

    return np.linalg.inv(to_xyz(SRGB_COLORS)) @ to_xyz(chromaticities)


def colored_png(*chunks, gray=False):
    pixels = RGB[..., 0] if gray else RGB
    rows = [row.tobytes() for row in pixels]
    return png_bytes(8, 6, 8, 0 if gray else 2, rows, *chunks)


def gamma_chunk(gamma):
    return (b"gAMA", struct.pack(">I", round(gamma * 100_000)))


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("gamma", [1.0, 0.6, 1 / 1.8])
def test_levels_of_another_gamma_are_converted_to_srgb(save, gamma, gray):
    path = save("a.png", colored_png(gamma_chunk(gamma), gray=gray))
    pixels = np.stack([RGB[..., 0]] * 3, axis=-1) if gray else RGB
    expected = srgb_encoded((pixels / 255) ** (1 / gamma))
    np.testing.assert_allclose(load(path).rgb, expected, atol=2.1 * LEVEL)


def test_other_primaries_are_converted_to_srgb(save):
    path = save("a.png", colored_png(gamma_chunk(0.5), (b"cHRM", struct.pack(">8I", *REC_2020))))
    linear = (RGB / 255) ** 2 @ matrix_to_srgb(REC_2020).T
    np.testing.assert_allclose(load(path).rgb, srgb_encoded(linear.clip(0, 1)), atol=2.5 * LEVEL)


@pytest.mark.parametrize(
    "chunks",
    [
        [gamma_chunk(0.45455)],
        [gamma_chunk(0.45455), (b"cHRM", struct.pack(">8I", *SRGB_COLORS))],
        [gamma_chunk(0.4621)],  # too close to sRGB to make a difference
        [(b"cHRM", struct.pack(">8I", *REC_2020))],  # has no effect without a gamma
        [gamma_chunk(1.0), (b"sRGB", b"\0")],
        [gamma_chunk(1.0), (b"cICP", bytes([1, 13, 0, 1]))],
    ],
)
def test_srgb_colors_are_not_converted(save, caplog, chunks):
    plain = examine(save("plain.png", colored_png()))
    path = save("a.png", colored_png(*chunks))
    assert examine(path).sha256 == plain.sha256
    np.testing.assert_allclose(load(path).rgb, RGB / 255, atol=1e-6)
    assert not caplog.text


def test_a_profile_takes_precedence_over_a_gamma(save):
    profile = (b"iCCP", b"linear\0\0" + zlib.compress(LINEAR_RGB))
    with_both = save("a.png", colored_png(gamma_chunk(0.45455), profile))
    np.testing.assert_allclose(load(with_both).rgb, srgb_encoded(RGB / 255), atol=1.6 * LEVEL)


@pytest.mark.parametrize(
    ("chunks", "found"),
    [
        ([gamma_chunk(0)], "gamma of 0"),
        ([gamma_chunk(30000)], "gamma of 30000"),
        ([gamma_chunk(0.45455), (b"cHRM", bytes(32))], "cHRM"),
        ([gamma_chunk(0.45455), (b"cHRM", struct.pack(">8I", *[31270, 32900] * 4))], "cHRM"),
        ([(b"cICP", bytes([9, 16, 0, 1]))], "cICP"),
    ],
)
def test_invalid_color_information_is_ignored_with_a_warning(save, caplog, chunks, found):
    path = save("odd.png", colored_png(*chunks))
    np.testing.assert_allclose(load(path).rgb, RGB / 255, atol=2.1 * LEVEL)
    assert "odd.png" in caplog.text
    assert found in caplog.text


def test_the_digest_of_a_lab_picture_does_not_depend_on_the_time(save):
    lab = Image.fromarray(RGB).convert("LAB")
    path = save("a.tif", lab)
    as_read = np.rint(load(path).rgb * 255).astype(np.uint8)
    assert examine(path).sha256 == examine(save("a.png", as_read)).sha256


# Truncated files


def jpeg_bytes(pixels, **options):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", **options)
    return data.getvalue()


PHOTO = np.random.default_rng(1).integers(0, 256, (40, 56, 3), dtype=np.uint8)


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": exif(6)}])
def test_a_jpeg_without_its_end_marker_is_read_with_one_warning(save, caplog, missing, options):
    data = jpeg_bytes(PHOTO, **options)
    intact, cut = save("whole.jpg", data), save("cut.jpg", data[:-missing])
    assert examine(cut).sha256 == examine(intact).sha256
    assert [record.getMessage().count("cut.jpg") for record in caplog.records] == [1]
    np.testing.assert_array_equal(load(cut).rgb, load(intact).rgb)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("missing", [3, 4, 6, 30, 400])
def test_a_jpeg_that_lacks_pixels_is_refused(save, missing, options):
    path = save("cut.jpg", jpeg_bytes(PHOTO, **options)[:-missing])
    for read in (examine, load):
        with pytest.raises(PictureError, match=r"cut\.jpg.*truncated"):
            read(path)


def test_a_progressive_jpeg_that_lacks_its_last_scans_is_refused(save):
    data = jpeg_bytes(PHOTO, progressive=True)
    last_scan = data.rindex(b"\xff\xda")
    before_its_tables = data.rindex(b"\xff\xc4", 0, last_scan)
    with pytest.raises(PictureError, match="truncated"):
        examine(save("a.jpg", data[:before_its_tables]))


def test_a_png_without_its_end_chunk_is_read_with_a_warning(save, caplog):
    data = colored_png()
    path = save("cut.png", data[:-12])
    assert examine(path).sha256 == examine(save("whole.png", data)).sha256
    assert caplog.text.count("cut.png") == 1


# Messages of libraries


def exif_garbage(pixels=PHOTO):
    data = jpeg_bytes(pixels)
    segment = b"Exif\0\0II*\0\xff\xff\xff\xff"
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def mpo_garbage():
    data = jpeg_bytes(PHOTO)
    segment = b"MPF\0garbage!"
    return data[:2] + b"\xff\xe2" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def tiff_with_too_large_a_tag():
    """Return a TIFF in which the name of the camera's maker would have 4 GB."""
    content = integer_tiff(np.zeros((2, 3), int), 8)
    number = struct.pack("<HHII", 277, 4, 1, 1)
    return content.replace(number, struct.pack("<HHII", 271, 2, 2**32 - 1, 8))


def animated_twice():
    control = (b"acTL", struct.pack(">II", 1, 0))
    return colored_png(control, control)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("exif.jpg", exif_garbage()),
        ("mpo.jpg", mpo_garbage()),
        ("apng.png", animated_twice()),
        ("tags.tif", tiff_with_too_large_a_tag()),
    ],
)
def test_warnings_of_a_library_become_one_warning_of_ours(save, caplog, name, content):
    path = save(name, content)
    with warnings.catch_warnings(record=True) as raw:
        warnings.simplefilter("always")
        examine(path)
        load(path, warn=False)
    assert not raw
    logged = [record.getMessage() for record in caplog.records]
    assert all(name in line for line in logged)
    assert len(logged) == 1


def test_warnings_as_errors_do_not_make_a_picture_unreadable(save):
    path = save("exif.jpg", exif_garbage())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert examine(path).warnings


def test_only_our_own_line_reaches_standard_error(save):
    data = io.BytesIO()
    Image.fromarray(PHOTO).save(data, "TIFF", compression="tiff_lzw")
    broken = bytearray(data.getvalue())
    broken[200:260] = b"\x13\x77\xff" * 20
    odd = save("odd.jpg", exif_garbage())
    tiff = save("broken.tif", bytes(broken))
    code = (
        "import sys\n"
        "from nst_core.images.picture_files import PictureError\n"
        "from nst_core.images.read import load\n"
        "load(sys.argv[1])\n"
        "try:\n    load(sys.argv[2])\nexcept PictureError:\n    print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, odd, tiff], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "refused"
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{odd}: ")


def test_other_users_of_pillow_still_get_its_warnings(save):
    path = save("exif.jpg", exif_garbage())
    with warnings.catch_warnings(record=True) as raw:
        warnings.simplefilter("always")
        with Image.open(path) as image:
            image.getexif()
    assert any("Corrupt EXIF" in str(warning.message) for warning in raw)
    assert all(warning.filename.endswith("TiffImagePlugin.py") for warning in raw)


def test_pictures_that_are_read_at_the_same_time_have_separate_notices(save):
    paths = {number: save(f"{number}.jpg", exif_garbage()) for number in (0, 2)}
    paths |= {number: save(f"{number}.jpg", jpeg_bytes(PHOTO)) for number in (1, 3)}
    found, start = {}, threading.Barrier(len(paths))

    def look(number):
        start.wait(30)
        found[number] = {bool(examine(paths[number]).warnings) for _ in range(20)}

    threads = [threading.Thread(target=look, args=(number,)) for number in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: {True}, 1: {False}, 2: {True}, 3: {False}}


def test_log_lines_of_pillow_are_dropped_for_our_pictures_only(caplog):
    pillow = logging.getLogger("PIL.TiffImagePlugin")
    with gathered():
        pillow.error("more samples than can be decoded")
    assert not caplog.records
    pillow.error("more samples than can be decoded")
    assert len(caplog.records) == 1


# Files that are far too large


def chunk_bomb(kind, name):
    """Return a chunk of 100 kB that unpacks to 100 MB."""
    return (kind, name + zlib.compress(bytes(100_000_000), 9))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("wide.png", png_bytes(100_000_000, 2, 8, 2, [b""])),
        ("tall.png", png_bytes(2, 100_000_000, 8, 2, [b""])),
        ("wide.tif", integer_tiff(np.zeros((1, 8), int), 8)),
        ("large.png", png_bytes(2**31 - 1, 2**31 - 1, 8, 2, [b""])),
        ("large.gif", gif((65535, 65535), (0, 0, 1, 1), [0] * 6)),
        ("text.png", colored_png(chunk_bomb(b"zTXt", b"Comment\0\0"))),
        ("itxt.png", colored_png(chunk_bomb(b"iTXt", b"Comment\0\1\0\0\0"))),
        ("icc.png", colored_png(chunk_bomb(b"iCCP", b"name\0\0"))),
        ("exif.png", colored_png(chunk_bomb(b"zTXt", b"Raw profile type exif\0\0"))),
    ],
)
def test_a_bomb_is_refused_at_once_with_our_own_message(save, name, content):
    if name == "wide.tif":
        content = content.replace(
            struct.pack("<HHII", 256, 4, 1, 8), struct.pack("<HHII", 256, 4, 1, 100_000_000)
        )
    path = save(name, content)
    with bounded(seconds=3, megabytes=300):
        for read in (examine, load):
            with pytest.raises(PictureError, match=name):
                read(path)


def test_a_side_that_no_decoder_accepts_is_reported(save):
    path = save("wide.png", png_bytes(100_000_000, 2, 8, 2, [b""]))
    for read in (read_header, examine, load):
        with pytest.raises(PictureError, match=r"wide\.png.*100000000 x 2 pixels.*1,000,000"):
            read(path)


def test_only_the_first_of_thousands_of_frames_is_read(save):
    frames = [Image.new("P", (8, 6), index % 2) for index in range(2000)]
    path = save("a.gif", frames[0], save_all=True, append_images=frames[1:], duration=10)
    with bounded(seconds=1, megabytes=50):
        assert examine(path).width == 8


@pytest.mark.parametrize(
    "error", [MemoryError(), RecursionError("deep"), ZeroDivisionError(), OverflowError("far")]
)
def test_any_error_of_a_decoder_names_the_file(save, monkeypatch, error):
    path = save("a.png", RGB)

    def fail(*_):
        raise error

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load_prepare", fail)
    for read in (examine, load):
        with pytest.raises(PictureError, match=r"a\.png.*cannot be decoded"):
            read(path)
