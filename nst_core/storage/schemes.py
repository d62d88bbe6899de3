"""The schemes of URLs: what each needs, and which kind of storage it belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OBJECTS = "nst_core.storage.objects.ObjectStorage"


@dataclass(frozen=True)
class Scheme:
    """What is known about URLs with one scheme.

    Attributes:
        extra: the extra of this package that brings the library that fsspec needs; empty if the
            library always comes with it.
        storage: the class that has the methods of `storage.Storage`, by its full name.
        is_read_only: whether nothing can be written there, as on the web.
        user_is_no_secret: whether the part before an `@` names a container and not a user.
        options: what fsspec gets for each file system.
    """

    extra: str = ""
    storage: str = OBJECTS
    is_read_only: bool = False
    user_is_no_secret: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


_GOOGLE, _WEB = Scheme("gs"), Scheme(is_read_only=True)
_AZURE = Scheme("az", user_is_no_secret=True)

SCHEMES: dict[str, Scheme] = {
    # With more, the library asks for each object's size before it fetches the object.
    "s3": Scheme("s3", options={"max_concurrency": 1}),
    "gs": _GOOGLE,
    "gcs": _GOOGLE,
    "az": _AZURE,
    "abfs": _AZURE,
    "abfss": _AZURE,
    "http": _WEB,
    "https": _WEB,
}


def is_read_only(scheme: str) -> bool:
    """Return whether nothing can be written to URLs with this scheme."""
    return scheme in SCHEMES and SCHEMES[scheme].is_read_only
