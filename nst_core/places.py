"""Places: files and folders on this machine's disks or in object storage, through fsspec.

A local place is a `pathlib.Path`, any other a `upath.UPath`, which has the same methods.
Credentials and endpoints come from where each storage's own tools look for them (`AWS_*`
variables, `~/.aws`, Google's and Azure's defaults, fsspec's configuration), never from an address.
"""

import os
import re
import sys
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import quote, unquote, urlsplit

import fsspec
from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from upath import UPath

Place = Path | UPath

EXTRAS = {
    "s3": "s3",
    "gs": "gs",
    "gcs": "gs",
    "az": "az",
    "abfs": "az",
    "abfss": "az",
    "http": "",
    "https": "",
}
"""The schemes of addresses, and which extra of this package each needs."""

READ_ONLY = ("http", "https")
AZURE = ("az", "abfs", "abfss")

WEB_ADDRESS = r"^https?://[^\s?#@]+$"
"""Of a folder on the web, without anything that could be secret."""

BEFORE_USER = re.compile(r"://(?=[^/:]+(?::|\Z))|//(?=[^/:]*:)")
"""In what stands before an `@`; without its scheme, an address is known by its password."""

AFTER_PATH = re.compile(r"(https?://[^?#\n]*)([?#]\S*)?", re.IGNORECASE)
"""A web address up to the end of its path, and what follows that."""

OPTIONS: dict[str, dict[str, Any]] = {
    # With more, it asks how large each object is before it fetches it.
    "s3": {"max_concurrency": 1},
}


class PlaceError(ValueError):
    """An address that cannot be used; the message says what to do."""


def place(named: str | os.PathLike[str] | UPath) -> Place:
    """A path of this machine, or an address such as `s3://bucket/folder/picture.png`.

    Raises:
        PlaceError: the scheme is not known, its library is not installed, there are credentials
            in the address, or no address and no path can be like this.
    """
    if isinstance(named, UPath) and not isinstance(named, Path):
        return named
    text = os.fspath(named)
    scheme, separator, rest = text.partition("://")
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", scheme):
        return _path(text)
    scheme = scheme.lower()
    if scheme == "file":
        return _path_of_address(text)
    if scheme not in EXTRAS:
        raise PlaceError(
            f"{without_secrets(text)}: expected a path or an address that begins with "
            f"{', '.join(f'{known}://' for known in EXTRAS)}"
        )
    if _has_credentials(scheme, rest):
        raise PlaceError(
            f"{without_secrets(text)}: found credentials in the address; keep them where the "
            "storage's own tools look for them (such as AWS_* variables or ~/.aws) and leave them "
            "out here"
        )
    _check_library(scheme, text)
    if scheme in READ_ONLY and not _host_of(text):
        raise PlaceError(f"{without_secrets(text)}: found no host; expected {scheme}://host/path")
    try:
        # Listings that are kept would not show what other machines write meanwhile.
        address: UPath = UPath(
            f"{scheme}://{rest}", use_listings_cache=False, **OPTIONS.get(scheme, {})
        )
    except Exception as error:  # each storage's library raises errors of its own
        raise _no_address(text, error) from error
    return address


def _path(text: str) -> Path:
    """A path of this machine; an address that became one would make folders of odd names."""
    scheme, slash, rest = text.partition(":/")
    if slash and scheme.lower() in EXTRAS:
        raise PlaceError(
            f"{text}: an address needs two slashes and must not be made a Path; expected "
            f"{scheme.lower()}://{rest.lstrip('/')}"
        )
    if "\0" in text:
        raise PlaceError(f"{text!r}: found a NUL character, which no path can hold")
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise PlaceError(
            f"{text!a}: file names here are {sys.getfilesystemencoding()}, which has no "
            f"{text[error.start : error.end]!a}; run with a UTF-8 locale, such as LC_ALL=C.UTF-8, "
            "or rename the file"
        ) from error
    return Path(text)


def _path_of_address(text: str) -> Path:
    host = _host_of(text)
    if host not in ("", "localhost"):
        raise PlaceError(
            f"{text}: found the host {host!r}; expected file:///path, with three slashes, for a "
            "file of this machine"
        )
    return _path(unquote(urlsplit(text).path))


def _host_of(text: str) -> str:
    try:
        return urlsplit(text).hostname or ""
    except ValueError as error:
        raise _no_address(text, error) from error


def _no_address(text: str, error: Exception) -> PlaceError:
    return PlaceError(
        f"{without_secrets(text)}: this is no address ({without_secrets(str(error))})"
    )


def _has_credentials(scheme: str, rest: str) -> bool:
    host = re.split("[/?#]", rest, maxsplit=1)[0]
    user, at, _ = host.rpartition("@")
    if scheme in AZURE and ":" not in user:
        return False
    # A password with a slash in it ends the host early.
    _, colon, port = host.partition(":")
    return bool(at) or bool(colon and not port.isdigit() and "@" in rest)


def _check_library(scheme: str, text: str) -> None:
    try:
        fsspec.get_filesystem_class(scheme)
    # A scheme that only its library makes known is an unknown value without it.
    except (ImportError, ValueError) as error:
        needed = EXTRAS[scheme]
        package = f"nst-batch[{needed}]" if needed else "aiohttp"
        raise PlaceError(
            f"{without_secrets(text)}: {scheme}:// needs a library that is not installed: "
            f"pip install '{package}'"
        ) from error


PlaceField = Annotated[
    Place,
    PlainValidator(place),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
"""A place as a field of a pydantic model, a string in JSON."""


def join(folder: Place, text: str) -> Place:
    """What a text means to a file in the folder: an address, an absolute path or a relative one.

    Raises:
        PlaceError: see `place`.
    """
    meant = place(text)
    if not isinstance(meant, Path) or meant.is_absolute():
        return meant
    joined = folder / text
    if isinstance(joined, Path) or joined.protocol in READ_ONLY:
        return joined
    # A store keeps a/../b apart from b; web servers do not.
    return joined.resolve()


def as_seen_from(folder: Place, named: Place) -> str:
    """The text that means a place to a file in the folder; undoes `join`.

    Relative where both are on this machine, else whole.
    """
    if not isinstance(named, Path):
        return str(named)
    whole = resolved(named.parent) / named.name
    if not isinstance(folder, Path):
        return str(whole)
    text = os.path.relpath(str(whole), str(resolved(folder)))
    # A folder may be called `s3:`, and a file may be called by a blank.
    scheme, slash, _ = text.partition(":/")
    is_mistakable = not text.strip() or (slash and scheme.lower() in EXTRAS)
    return f"./{text}" if is_mistakable else text


def path_below(folder: Place, named: Place) -> str:
    """A place in a folder, or in a folder of it, as a relative path with `/` between folders."""
    return str(named.absolute()).removeprefix(f"{str(folder.absolute()).rstrip('/')}/")


def resolved(named: Place) -> Place:
    """The place itself, past links, as far as they lead anywhere; object storage has none."""
    if not isinstance(named, Path):
        return named
    try:
        return named.resolve()
    # Links that lead in a circle; which of the two is raised depends on Python's version.
    except (OSError, RuntimeError):
        return named.absolute()


def name_of(named: Place) -> str:
    """The last part, without what an address has after the path."""
    if isinstance(named, Path) or named.protocol not in READ_ONLY:
        return named.name
    return PurePosixPath(unquote(urlsplit(str(named)).path)).name


def told(named: str | os.PathLike[str] | UPath) -> str:
    """A place as it may be shown."""
    return without_secrets(str(named))


def without_secrets(text: str) -> str:
    """A text whose web addresses have lost their users, passwords, and whatever follows the path.

    Signed addresses carry a key there. Rather too much is cut than too little; an address that has
    lost its scheme has a password still.
    """
    return AFTER_PATH.sub(lambda seen: seen[1] + ("?..." if seen[2] else ""), _without_users(text))


def _without_users(text: str) -> str:
    """Leave out users and passwords, in a time that grows with the length of the text only."""
    *pieces, rest = text.split("@")
    shown: list[str] = []
    opening = ""
    for piece in pieces:
        piece = opening + piece
        last_word = piece.split()[-1] if piece[-1:].strip() else ""
        if user := BEFORE_USER.search(piece, len(piece) - len(last_word)):
            shown.append(piece[: user.start()])
            opening = user[0]
        else:
            shown.append(f"{piece}@")
            opening = ""
    return "".join([*shown, opening, rest])


def may_be_address(text: str) -> bool:
    """Whether an address with something secret may stand in a text, whole or damaged.

    Then no part of the text may be told by itself, since `without_secrets` would not know it.
    """
    return "://" in text or ("//" in text and "@" in text)


def without_secrets_of(named: UPath, text: str) -> str:
    """What a storage's library says of an address, in whatever way it writes it."""
    for written in (str(named), quote(str(named), safe=":/?#&=%"), unquote(str(named))):
        text = text.replace(written, told(named))
    query = str(named).partition("?")[2]
    for secret in filter(None, (query, unquote(query), quote(query, safe="&=%"))):
        text = text.replace(secret, "...")
    return without_secrets(text)


def checked_for_keeping(named: Place) -> Place:
    """An address that may be kept by others, as Prefect's server keeps the parameters of a run.

    Raises:
        PlaceError: it is signed.
    """
    text = str(named)
    if not isinstance(named, Path) and named.protocol in READ_ONLY and re.search("[?#]", text):
        raise PlaceError(
            f"{told(named)}: found a signed address, which Prefect's server would keep; expected "
            "one without '?' here (pictures within a manifest may have one)"
        )
    return named
