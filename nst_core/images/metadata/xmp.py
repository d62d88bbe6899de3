"""XMP packets of photographs: what of them results may contain."""

from collections.abc import Iterator
from xml.etree import ElementTree

from nst_core.images.decoder_notices import note

MOST_BYTES = 65_000
"""The longest packet that is written; a JPEG file can hold no longer one in one piece."""

_MOST_READ = 1 << 24
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_XMP = "{http://ns.adobe.com/xap/1.0/}"
_RIGHTS = "{http://ns.adobe.com/xap/1.0/rights/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
_EXIF = "{http://ns.adobe.com/exif/1.0/}"

_PRIVATE = frozenset(
    {
        *(_DC + name for name in ("creator", "rights", "title", "description", "subject")),
        *(_RIGHTS + name for name in ("Marked", "UsageTerms", "WebStatement", "Owner")),
        *(_PHOTOSHOP + name for name in ("Credit", "Source", "Headline", "DateCreated")),
        *(_PHOTOSHOP + name for name in ("AuthorsPosition", "CaptionWriter", "Instructions")),
        *(_XMP + name for name in ("CreateDate", "Rating", "Label")),
    }
)
"""Properties that identify neither a person's device nor a place."""

_OF_THE_FILE = (
    *(_EXIF + name for name in ("PixelXDimension", "PixelYDimension", "ColorSpace")),
    *(_XMP + "Thumbnails", "{http://ns.adobe.com/tiff/1.0/}"),
    # Pictures within the file: maps of light and depth, films, panoramas.
    *("{http://ns.adobe.com/hdr-gain-map/1.0/}", "{http://ns.google.com/photos/"),
    *("{http://ns.adobe.com/xap/1.0/g/img/}", "{http://ns.adobe.com/xmp/note/}"),
)
"""How the names of properties begin that are about the photograph's file, and wrong in others."""


def private_xmp(packet: bytes) -> bytes:
    """Return a packet with only what identifies neither a device nor a place; empty if nothing."""
    return _selected(packet, private=True)


def kept_xmp(packet: bytes) -> bytes:
    """Return a packet without what is about the file; if it is too long, as in `private_xmp`."""
    kept = _selected(packet, private=False)
    return kept if len(kept) <= MOST_BYTES else private_xmp(packet)


def _selected(packet: bytes, *, private: bool) -> bytes:
    if not packet or len(packet) > _MOST_READ:
        return b""
    kept = ElementTree.Element(f"{_RDF}Description", {f"{_RDF}about": ""})
    try:
        for element in _descriptions(packet):
            for name, value in element.attrib.items():
                if _is_kept(name, private=private):
                    kept.set(name, value)
            kept.extend(child for child in element if _is_kept(child.tag, private=private))
    except ElementTree.ParseError as error:
        note(f"its XMP data is damaged and ignored ({error})")
        return b""
    has_any = len(kept) or len(kept.attrib) > 1
    return _packet(kept) if has_any else b""


def _descriptions(packet: bytes) -> Iterator[ElementTree.Element]:
    if b"<!" in packet.replace(b"\0", b"").replace(b"<!--", b""):
        # Entities could make a small packet as large as memory.
        raise ElementTree.ParseError("it declares entities")
    root = ElementTree.fromstring(packet.strip(b"\0 \r\n\t"))
    for rdf in root.iter(f"{_RDF}RDF"):
        yield from rdf.findall(f"{_RDF}Description")


def _is_kept(name: str, *, private: bool) -> bool:
    if private:
        return name in _PRIVATE
    return not name.startswith((_RDF, *_OF_THE_FILE))


def _packet(description: ElementTree.Element) -> bytes:
    root = ElementTree.Element("{adobe:ns:meta/}xmpmeta")
    ElementTree.SubElement(root, f"{_RDF}RDF").append(description)
    body: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=False)
    begin = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    return begin + body + b'<?xpacket end="w"?>'
