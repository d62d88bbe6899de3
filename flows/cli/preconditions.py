"""The preconditions of a run, checked before any work: folders, disk space, locks."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nst_core.devices import device_lock, parse_devices, visible_gpus
from nst_core.errors import UserError
from nst_core.storage.files import StorageError, probe
from nst_core.storage.local import free_bytes, on_disk
from nst_core.storage.locks import LockError, flock, lock_folder
from nst_core.storage.places import Place, PlaceError, redacted
from nst_core.storage.write_errors import reason
from tasks.store.output_folder import OutputFolder, own_cache
from tasks.store.style_cache import StyleCache

LEAST_FREE = 64_000_000
"""The free bytes that a run needs: enough for a dozen pictures, or for Prefect's database."""

LITTLE_FREE = 1_000_000_000
"""Free bytes below which `doctor` warns."""

OTHER_OUTPUT = "choose another folder (--output)"


class NotReadyError(UserError):
    """A precondition of a run does not hold; the message has a line for each reason."""


@dataclass(frozen=True)
class Finding:
    """The result of one check: `ok`, `warning` or `error`, what was found, and what to do."""

    subject: str
    state: str
    found: str
    advice: str = ""


def check_ready(cache: StyleCache, output: OutputFolder, devices: str) -> None:
    """Check that a run can begin, and create output and cache.

    Args:
        cache: the cache in use.
        output: the output folder.
        devices: the devices, in the form that `parse_devices` expects.

    Raises:
        NotReadyError: the run cannot begin; the message gives all reasons at once.
    """
    found = surroundings(cache, output, devices)
    if errors := [finding for finding in found if finding.state == "error"]:
        raise NotReadyError("\n".join(f"{error.found}; {error.advice}" for error in errors))


def check_output(output: OutputFolder) -> None:
    """Check that results can be written, and create nothing.

    Raises:
        NotReadyError: they cannot; the message says why.
    """
    if errors := output.probe():
        why = _why_unwritable(errors[0], "the output folder", output.root)
        raise NotReadyError(f"{why}; {OTHER_OUTPUT}")


def surroundings(
    cache: StyleCache, output: OutputFolder | None = None, devices: str = "auto"
) -> list[Finding]:
    """Return the findings of all checks that `run` and `doctor` make.

    Args:
        cache: the cache in use.
        output: the output folder, if there is one.
        devices: the devices, in the form that `parse_devices` expects.
    """
    findings = [_prefect_home(), _temporary_folder(), *_locks(devices)]
    if not all(on_disk(folder.root) for folder in (cache, output) if folder):
        findings.append(_own_cache())
    findings.append(_cache(cache))
    if output is not None:
        findings.append(_folder("output", "the output folder", output.root, OTHER_OUTPUT))
    return findings


def _folder(subject: str, name: str, folder: Place, advice: str) -> Finding:
    """Check that a folder can be created and written, and has enough space."""
    try:
        if local := on_disk(folder):
            mode = 0o777 if subject == "output" else 0o700
            local.mkdir(parents=True, exist_ok=True, mode=mode)
        probe(folder)
        free = free_bytes(folder)
    except OSError as error:
        return Finding(subject, "error", _why_unwritable(error, name, folder), advice)
    if free < LEAST_FREE:
        found = (
            f"{name} {redacted(folder)} is nearly full: found {free / 1e6:.0f} MB of free space, "
            f"expected at least {LEAST_FREE / 1e6:.0f} MB"
        )
        return Finding(subject, "error", found, f"make room there, or {advice}")
    if free < LITTLE_FREE:
        found = f"{redacted(folder)}: only {free / 1e6:.0f} MB of free space is left"
        return Finding(subject, "warning", found, "pictures take a few MB each")
    return Finding(subject, "ok", redacted(folder))


def _why_unwritable(error: OSError, name: str, folder: Place) -> str:
    if on_disk(folder):
        return reason(error, name, folder)
    cannot = "" if isinstance(error, StorageError) else "cannot be written to: "
    return f"{redacted(folder)}: {cannot}{error.strerror}"


def _prefect_home() -> Finding:
    """Check Prefect's home, which has its database; importing Prefect would create the folder."""
    subject, advice = "prefect home", "set PREFECT_HOME to a folder that you can write to"
    if os.environ.get("PREFECT_API_URL"):
        return Finding(subject, "ok", "not needed, as PREFECT_API_URL is set")
    try:
        home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    except RuntimeError:
        found = "Prefect's home: HOME is not set, and this user has no home folder"
        return Finding(subject, "error", found, advice)
    finding = _folder(subject, "Prefect's home", home, advice)
    if finding.state == "error" and _names_a_server(home):
        return Finding(subject, "warning", finding.found, finding.advice)
    return finding


def _names_a_server(home: Path) -> bool:
    """Return whether a Prefect profile names a server, in which case none is embedded."""
    try:
        return "PREFECT_API_URL" in (home / "profiles.toml").read_text()
    except (OSError, ValueError):
        return False


def _temporary_folder() -> Finding:
    subject, advice = "temporary folder", "set TMPDIR to a folder that you can write to"
    named = os.environ.get("TMPDIR")
    try:
        folder = Path(tempfile.gettempdir())
    except OSError as error:
        found = f"found no temporary folder that can be written to ({error.strerror or error})"
        return Finding(subject, "error", found, advice)
    if named and not Path(named).is_dir():
        found = f"TMPDIR={named} is not a folder; {folder} is used instead"
        return Finding(subject, "warning", found, "create it, or unset TMPDIR")
    return _folder(subject, "the temporary folder", folder, advice)


def _locks(devices: str) -> Iterator[Finding]:
    """Check the locks of the GPUs that a run may use; rows on the CPU need none."""
    try:
        folder = lock_folder()
        for gpu in _gpus(devices):
            if (descriptor := flock(device_lock(gpu), timeout=0)) is not None:
                os.close(descriptor)
    except (LockError, OSError) as error:
        state = "error" if list(_gpus(devices)) else "warning"
        # The message of a `LockError` says what to do.
        found, _, advice = str(error).rpartition("; ")
        yield Finding("locks", state, found or str(error), advice)
        return
    yield Finding("locks", "ok", str(folder))


def _gpus(devices: str) -> Iterator[str]:
    wanted = parse_devices(devices)
    if not wanted:
        yield from (f"GPU:{number}" for number in range(len(visible_gpus())))
    yield from (device for device in wanted if device.startswith("GPU"))


def _cache(cache: StyleCache) -> Finding:
    advice = "set NST_BATCH_CACHE or --cache to a folder that you can write to"
    finding = _folder("cache", "the cache", cache.root, advice)
    if finding.state == "error" and cache.is_served_read_only():
        advice = f"rows fail if their style is not cached there: {advice}"
        return Finding("cache", "warning", finding.found, advice)
    if finding.state == "ok" and (local := on_disk(cache.root)) and local.stat().st_mode & 0o022:
        advice = f"chmod go-w {cache}: anyone who can write there can change your results"
        return Finding("cache", "warning", f"{cache}: other users may write there", advice)
    return finding


def _own_cache() -> Finding:
    """Check the local cache: downloaded weights, locks and logs cannot be in object storage."""
    advice = "set XDG_CACHE_HOME or NST_BATCH_CACHE to a folder that you can write to"
    try:
        folder = own_cache()
    except PlaceError as error:
        return Finding("own cache", "error", str(error), advice)
    return _folder("own cache", "your local cache", folder, advice)
