"""The limits of paths, as every system describes them."""

from typing import NamedTuple


class PathLimits(NamedTuple):
    """The longest path, and the longest name in a path, in bytes."""

    path: int
    name: int
