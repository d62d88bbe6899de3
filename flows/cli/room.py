"""Whether the results of a batch fit on their disks."""

from dataclasses import asdict, dataclass
from typing import Any

from flows.cli.preconditions import LEAST_FREE
from nst_core.storage.local import free_bytes, identity_of
from nst_core.storage.places import Place, redacted
from tasks.store.disk_use import DiskUse


@dataclass(frozen=True)
class Disk:
    """A disk to which a run writes.

    Attributes:
        folders: the folders that a run writes there, redacted.
        needed: the bytes that go there.
        free: the free bytes; None if the storage does not say.
    """

    folders: tuple[str, ...]
    needed: int
    free: float | None

    @property
    def has_room(self) -> bool:
        """Whether enough space is left for a run to begin; true if the free space is unknown."""
        return self.free is None or self.free - self.needed >= LEAST_FREE

    def __str__(self) -> str:
        if self.free is None:
            return f"the free space of {self.folders[0]} is unknown"
        free = f"{size_text(self.free)} is free for {' and '.join(self.folders)}"
        return f"there is room: {free}" if self.has_room else f"there is not enough room: {free}"


@dataclass(frozen=True)
class Room:
    """What a batch writes, and the disks that it goes to."""

    use: DiskUse
    disks: tuple[Disk, ...]

    def __str__(self) -> str:
        basis = "learned from finished pictures" if self.use.is_learned else "at most"
        sizes = [f"{size_text(self.use.in_output)} of results ({basis})"]
        if self.use.style_targets:
            sizes.append(f"{size_text(self.use.style_targets)} of style targets")
        return f"disk: {' and '.join(sizes)}; {'; '.join(map(str, self.disks))}"

    def as_json(self) -> dict[str, Any]:
        """Return the same for machines; sizes are in bytes."""
        return {
            **asdict(self.use),
            "disks": [{**asdict(disk), "has_room": disk.has_room} for disk in self.disks],
            "has_room": all(disk.has_room for disk in self.disks),
        }


def room_for(use: DiskUse, output: Place, cache: Place) -> Room:
    """Return whether a batch fits on the disks of its output folder and the cache.

    The folders need not exist; a run creates them.
    """
    needed = {output: use.in_output, cache: use.style_targets}
    by_disk: dict[object, list[Place]] = {}
    for folder in needed:
        identity = identity_of(_nearest(folder))
        by_disk.setdefault(identity.device if identity else folder, []).append(folder)
    return Room(
        use,
        tuple(
            Disk(
                folders=tuple(map(redacted, folders)),
                needed=sum(needed[folder] for folder in folders),
                free=_free(folders[0]),
            )
            for folders in by_disk.values()
        ),
    )


def _nearest(folder: Place) -> Place:
    """Return the folder, or the closest one above it that exists."""
    absolute = folder.absolute()
    return next((place for place in (absolute, *absolute.parents) if identity_of(place)), absolute)


def _free(folder: Place) -> float | None:
    try:
        free = free_bytes(_nearest(folder))
    except OSError:
        return None
    return free if free < float("inf") else None


def size_text(size: float) -> str:
    """Return a size as people say it, such as `0.4 MB`, `120 MB` or `45 GB`."""
    if size < 9.95e6:
        return f"{size / 1e6:.1f} MB"
    return f"{size / 1e6:.0f} MB" if size < 1e10 else f"{size / 1e9:.0f} GB"
