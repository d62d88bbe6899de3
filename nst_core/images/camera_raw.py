"""Camera raw files: recognized, so that they are refused with what to do.

Many of them are TIFF files whose first picture is a small preview, so that a reader of TIFF files
would mistake the preview for the picture.
"""

SUFFIXES = frozenset(
    (
        *(".3fr", ".ari", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr"),
        *(".iiq", ".k25", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf"),
        *(".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
    )
)
"""The suffixes of camera raw files."""

ADVICE = "export it as TIFF or JPEG from the program that develops it"

_TIFF = (b"II*\0", b"MM\0*")
_STARTS = (
    *(b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM", b"IIRO", b"IIRS", b"MMOR", b"IIU\0"),
    b"II\x1a\0\0\0HEAP",
)


def is_camera_raw(start: bytes, suffix: str) -> bool:
    """Return whether a file is a camera raw file.

    Args:
        start: its first 16 bytes. A file in another format than TIFF is what it begins like,
            whatever its name is.
        suffix: that of its name.
    """
    if start[:4] in _TIFF:
        return start[8:10] == b"CR" or suffix.lower() in SUFFIXES
    return start[4:12] == b"ftypcrx " or start.startswith(_STARTS)
