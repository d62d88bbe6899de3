"""Photographs with metadata, as cameras and programs write it, made by Pillow."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

Base, Gps, Ifd = ExifTags.Base, ExifTags.GPS, ExifTags.IFD

CAMERA = {
    Base.ImageDescription: "A boat on the lake",
    Base.Make: "Nikon",
    Base.Model: "Z 9",
    Base.Artist: "Ada Lovelace",
    Base.Copyright: "(c) 2026 Ada Lovelace",
    Base.DateTime: "2026:05:01 12:00:01",
}
EXPOSURE = {
    Base.ExposureTime: TiffImagePlugin.IFDRational(1, 250),
    Base.FNumber: TiffImagePlugin.IFDRational(28, 10),
    Base.ISOSpeedRatings: 400,
    Base.DateTimeOriginal: "2026:05:01 12:00:00",
    Base.OffsetTimeOriginal: "+02:00",
    Base.FocalLength: TiffImagePlugin.IFDRational(85, 1),
    Base.LensModel: "85mm f/1.8",
}
SECRET_CAMERA = {Base.HostComputer: "Ada's telephone"}
SECRET_EXPOSURE = {
    Base.BodySerialNumber: "SERIAL-1",
    Base.LensSerialNumber: "SERIAL-2",
    Base.CameraOwnerName: "OWNER-1",
    Base.ImageUniqueID: "UNIQUE-1",
}
MAKER_NOTE = b"Nikon\0SERIAL-3"
PLACE = {
    Gps.GPSLatitudeRef: "N",
    Gps.GPSLatitude: (52.0, 30.0, 1.5),
    Gps.GPSLongitudeRef: "E",
    Gps.GPSLongitude: (13.0, 22.0, 40.0),
}

XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:aux="http://ns.adobe.com/exif/1.0/aux/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 aux:SerialNumber="SERIAL-4" exif:GPSLatitude="52,30.025N" photoshop:City="PLACE-1"
 photoshop:Credit="Studio Ada" tiff:Orientation="6" exif:PixelXDimension="6000">
 <dc:creator><rdf:Seq><rdf:li>Ada L\u00f6velace</rdf:li></rdf:Seq></dc:creator>
 <dc:rights><rdf:Alt><rdf:li xml:lang="x-default">all &amp; reserved</rdf:li></rdf:Alt></dc:rights>
 <xmp:Thumbnails>THUMBNAIL</xmp:Thumbnails>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""

SECRETS = (
    *(b"SERIAL-1", b"SERIAL-2", b"SERIAL-3", b"SERIAL-4", b"OWNER-1", b"UNIQUE-1"),
    *(b"telephone", b"PLACE-1", b"52,30", b"THUMBNAIL"),
)
"""What no private result may contain anywhere."""


def camera_exif(*, orientation: int = 6, thumbnail: bool = True) -> Image.Exif:
    """Return EXIF data with everything that a camera writes."""
    exif = Image.Exif()
    exif.update({**CAMERA, **SECRET_CAMERA, Base.Orientation: orientation})
    exif[Base.XResolution] = exif[Base.YResolution] = TiffImagePlugin.IFDRational(300, 1)
    exif[Base.ResolutionUnit] = 2
    own = {Base.ColorSpace: 1, Base.ExifImageWidth: 48, Base.ExifImageHeight: 36}
    note = {Base.MakerNote: MAKER_NOTE, Base.UserComment: b"ASCII\0\0\0THUMBNAIL"}
    exif.get_ifd(Ifd.Exif).update({**EXPOSURE, **SECRET_EXPOSURE, **own, **note})
    exif.get_ifd(Ifd.GPSInfo).update(PLACE)
    if thumbnail:
        exif.get_ifd(Ifd.IFD1).update({Base.ImageDescription: "THUMBNAIL"})
    return exif


def iptc_block(**texts: str) -> bytes:
    """Return a Photoshop block with IPTC fields: by-line, copyright, caption and city."""
    numbers = {"author": 80, "copyright": 116, "caption": 120, "city": 90}
    data = b"".join(
        struct.pack(">BBBH", 0x1C, 2, numbers[name], len(text.encode())) + text.encode()
        for name, text in texts.items()
    )
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(data)) + data + bytes(len(data) % 2)
    return b"Photoshop 3.0\0" + resource


def photograph(path: Path, seed: int = 1, *, profile: bytes = b"", **options: Any) -> Path:
    """Write a photograph of 48 x 36 stored pixels, in the format of its suffix.

    Args:
        path: where it is written.
        seed: of its pixels.
        profile: its ICC profile.
        options: `exif` and `xmp` take the place of those of a camera; `iptc` is a block of it.
    """
    blotches = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    image = Image.fromarray(blotches).resize((48, 36), Image.Resampling.BICUBIC)
    exif, xmp = options.get("exif", camera_exif()), options.get("xmp", XMP)
    path.parent.mkdir(parents=True, exist_ok=True)
    more: dict[str, Any] = {"dpi": (300, 300), "icc_profile": profile or None, "exif": exif}
    if path.suffix == ".png":
        more["pnginfo"] = PngInfo()
        more["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp)
    elif path.suffix == ".tif":
        exif[700] = xmp.encode()
        # Pillow writes the directories of a TIFF file only if they were read from bytes.
        more["exif"] = exif.tobytes()
    else:
        more["xmp"] = xmp.encode()
    if path.suffix == ".jpg":
        more["quality"] = 95
    if block := options.get("iptc"):
        more["extra"] = b"\xff\xed" + struct.pack(">H", 2 + len(block)) + block
    data = io.BytesIO()
    image.save(data, {".jpg": "JPEG", ".tif": "TIFF"}.get(path.suffix, path.suffix[1:]), **more)
    path.write_bytes(data.getvalue())
    return path
