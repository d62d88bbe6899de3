"""Places: files and folders on this machine's disks or in object storage, through fsspec.

A local place is a `pathlib.Path`, any other a `upath.UPath`, which has the same methods.
Credentials and endpoints are read from where each storage service's own tools look for them
(`AWS_*` variables, `~/.aws`, Google's and Azure's defaults, fsspec's configuration), never from a
URL.
"""

import os
import re
import sys
from pathlib import Path, PurePosixPath
from typing import Annotated
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname

import fsspec
from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from upath import UPath

from nst_core.errors import UserError
from nst_core.extras import command_for
from nst_core.storage.schemes import SCHEMES, is_read_only

Place = Path | UPath

WEB_URL = r"^https?://[^\s?#@]+$"
"""The URL of a folder on the web, without anything that could be secret."""

BEFORE_USER = re.compile(r"://(?=[^/:]+(?::|\Z))|//(?=[^/:]*:)")
"""Where a user name before an `@` begins; without a scheme, only a password reveals a URL."""

AFTER_PATH = re.compile(r"(https?://[^?#\n]*)([?#]\S*)?", re.IGNORECASE)
"""An `http` or `https` URL up to the end of its path, and what follows the path."""


class PlaceError(UserError, ValueError):
    """A path or URL cannot be used; the message says what to do."""


def place(named: str | os.PathLike[str] | UPath) -> Place:
    """Return a path on this machine, or a URL such as `s3://bucket/folder/picture.png`.

    Raises:
        PlaceError: the scheme is unknown, its library is not installed, the URL contains
            credentials, or the text can be neither a URL nor a path.
    """
    if isinstance(named, UPath) and not isinstance(named, Path):
        return named
    text = os.fspath(named)
    scheme, separator, rest = text.partition("://")
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", scheme):
        return _path(text)
    scheme = scheme.lower()
    if scheme == "file":
        return _path_of_url(text)
    if scheme not in SCHEMES:
        raise PlaceError(
            f"{redacted(text)}: expected a path or a URL that begins with "
            f"{', '.join(f'{known}://' for known in SCHEMES)}"
        )
    if _has_credentials(scheme, rest):
        raise PlaceError(
            f"{redacted(text)}: found credentials in the URL; keep them where the "
            "storage service's own tools look for them (such as AWS_* variables or ~/.aws) and "
            "leave them out here"
        )
    _check_library(scheme, text)
    if is_read_only(scheme) and not _host_of(text):
        raise PlaceError(f"{redacted(text)}: found no host; expected {scheme}://host/path")
    try:
        # Cached listings would not show what other machines write in the meantime.
        remote: UPath = UPath(
            f"{scheme}://{rest}", use_listings_cache=False, **SCHEMES[scheme].options
        )
    except Exception as error:  # each storage's library raises errors of its own
        raise _invalid_url(text, error) from error
    return remote


def _path(text: str) -> Path:
    """Return a path on this machine; refuse a URL such as `s3:/key`, which lacks a slash."""
    scheme, slash, rest = text.partition(":/")
    if slash and scheme.lower() in SCHEMES:
        raise PlaceError(
            f"{text}: a URL needs two slashes (a pathlib.Path drops one); expected "
            f"{scheme.lower()}://{rest.lstrip('/')}"
        )
    if "\0" in text:
        raise PlaceError(f"{text!r}: found a NUL character, which no path can contain")
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise PlaceError(
            f"{text!a}: file names here are in {sys.getfilesystemencoding()}, which cannot encode "
            f"{text[error.start : error.end]!a}; run with a UTF-8 locale, such as LC_ALL=C.UTF-8, "
            "or rename the file"
        ) from error
    return Path(text)


def _path_of_url(text: str) -> Path:
    host = _host_of(text)
    if host not in ("", "localhost"):
        raise PlaceError(
            f"{text}: found the host {host!r}; expected file:///path, with three slashes, for a "
            "file of this machine"
        )
    path = urlsplit(text).path
    return _path(url2pathname(path) if sys.platform == "win32" else unquote(path))


def _host_of(text: str) -> str:
    try:
        return urlsplit(text).hostname or ""
    except ValueError as error:
        raise _invalid_url(text, error) from error


def _invalid_url(text: str, error: Exception) -> PlaceError:
    return PlaceError(f"{redacted(text)}: this is not a valid URL ({redacted(str(error))})")


def _has_credentials(scheme: str, rest: str) -> bool:
    host = re.split("[/?#]", rest, maxsplit=1)[0]
    user, at, _ = host.rpartition("@")
    if SCHEMES[scheme].user_is_no_secret and ":" not in user:
        return False
    # A slash in a password seems to end the host early.
    _, colon, port = host.partition(":")
    return bool(at) or bool(colon and not port.isdigit() and "@" in rest)


def _check_library(scheme: str, text: str) -> None:
    try:
        fsspec.get_filesystem_class(scheme)
    # Without the library that registers it, a scheme is an unknown value.
    except (ImportError, ValueError) as error:
        needed = SCHEMES[scheme].extra
        command = command_for(needed) if needed else "pip install aiohttp"
        raise PlaceError(
            f"{redacted(text)}: {scheme}:// needs a library that is not installed; "
            f"install it: {command}"
        ) from error


PlaceField = Annotated[
    Place,
    PlainValidator(place),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
"""A place as a field of a pydantic model; it is a string in JSON."""


def _recorded(named: object) -> Place:
    if isinstance(named, Path | UPath):
        return named
    if isinstance(named, str):
        return Path(named)
    raise ValueError("expected a path or a URL")


RecordedPlace = Annotated[Place, PlainValidator(_recorded), PlainSerializer(str, return_type=str)]
"""Where a file was written, as a field of a record. When a record is read, only the end of the path
counts, so even a URL becomes a `Path`, and no storage library is needed for it."""


def join(folder: Place, text: str) -> Place:
    """Return the place that a text in one of the folder's files means: a URL or a path.

    Raises:
        PlaceError: see `place`.
    """
    meant = place(text)
    if not isinstance(meant, Path) or meant.is_absolute():
        return meant
    joined = folder / text
    if isinstance(joined, Path) or is_read_only(joined.protocol):
        return joined
    # Object storage distinguishes a/../b from b; web servers do not.
    return joined.resolve()


def as_seen_from(folder: Place, named: Place) -> str:
    """Return the text that refers to a place from a file in the folder; undoes `join`.

    It is relative if both are on this machine, and otherwise absolute.
    """
    whole = str(whole_place(named))
    if not (isinstance(named, Path) and isinstance(folder, Path)):
        return whole
    try:
        text = os.path.relpath(whole, str(without_links(folder)))
    except ValueError:
        # They are on different drives of Windows.
        text = whole
    # A manifest of Windows can be read everywhere.
    text = text.replace(os.sep, "/")
    # A folder may be called `s3:`, and a file's name may be blank.
    scheme, slash, _ = text.partition(":/")
    is_mistakable = not text.strip() or (slash and scheme.lower() in SCHEMES)
    return f"./{text}" if is_mistakable else text


def path_below(folder: Place, named: Place) -> str:
    """Return a place in a folder or its subfolders as a relative path separated by `/`."""
    whole, root = (
        each.absolute().as_posix() if isinstance(each, Path) else str(each.absolute())
        for each in (named, folder)
    )
    return whole.removeprefix(f"{root.rstrip('/')}/")


def whole_place(named: Place) -> Place:
    """Return the absolute place of a file, without links among its folders; it may be a link."""
    return without_links(named.parent) / named.name if isinstance(named, Path) else named


def without_links(named: Place) -> Place:
    """Follow the links in a place, as far as they lead anywhere; object storage has none."""
    if not isinstance(named, Path):
        return named
    try:
        return named.resolve()
    # The links form a loop; which of the two is raised depends on Python's version.
    except (OSError, RuntimeError):
        return named.absolute()


def is_on_web(named: Place) -> bool:
    """Return whether a place is on a web server, which can only be read and has no folders."""
    return not isinstance(named, Path) and is_read_only(named.protocol)


def name_of(named: Place) -> str:
    """Return the last part of a place, without what follows the path of an `http` URL."""
    if not is_on_web(named):
        return named.name
    return PurePosixPath(unquote(urlsplit(str(named)).path)).name


def redacted(named: str | os.PathLike[str] | UPath) -> str:
    """Return a place, or any text, without whatever may be secret in its URLs.

    User names, passwords and whatever follows the path (in signed URLs, a key) are removed.
    When in doubt, too much is removed: a URL without its scheme may still contain a password.
    """
    text = _without_users(str(named))
    return AFTER_PATH.sub(lambda seen: seen[1] + ("?..." if seen[2] else ""), text)


def _without_users(text: str) -> str:
    """Remove user names piece by piece; a single expression would scan a long text many times."""
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


def may_be_url(text: str) -> bool:
    """Return whether a text may contain a URL with a secret, complete or damaged.

    If so, no part of the text may be shown by itself, since `redacted` would not recognize it.
    """
    return "://" in text or ("//" in text and "@" in text)


def redacted_reason(named: UPath, text: str) -> str:
    """Redact a URL in a message of a storage's library, however the library writes it."""
    for written in (str(named), quote(str(named), safe=":/?#&=%"), unquote(str(named))):
        text = text.replace(written, redacted(named))
    query = str(named).partition("?")[2]
    for secret in filter(None, (query, unquote(query), quote(query, safe="&=%"))):
        text = text.replace(secret, "...")
    return redacted(text)


def reject_signed_url(named: Place) -> Place:
    """Return the place unless it is a signed URL, which Prefect's server must not store.

    Raises:
        PlaceError: it is a signed URL.
    """
    text = str(named)
    if is_on_web(named) and re.search("[?#]", text):
        raise PlaceError(
            f"{redacted(named)}: found a signed URL, which Prefect's server would store; "
            "expected one without '?' or '#' (pictures in a manifest may have signed URLs)"
        )
    return named
