"""The frames of sequences among pictures, in their order, from what the pictures say themselves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nst_core.storage.places import Place
from tasks.store.provenance import Provenance


@dataclass(frozen=True)
class Described:
    """A picture with what it says.

    Attributes:
        sequence: the name of its sequence in a manifest of all pictures; empty if it is no frame.
        lost: why its row would not make it again, as a frame; empty if it would.
    """

    picture: Place
    provenance: Provenance
    sequence: str = ""
    lost: tuple[str, ...] = ()


def in_frame_order(pictures: Sequence[tuple[Place, Provenance]]) -> list[Described]:
    """Return pictures in the order given, but the frames of a sequence together and in their order.

    A frame is found by the key of the frame before it, which it contains.
    """
    by_key = {provenance.key: number for number, (_, provenance) in enumerate(pictures)}
    next_of: dict[int, int] = {}
    for number, (_, provenance) in enumerate(pictures):
        if (before := by_key.get(provenance.previous)) is not None:
            next_of.setdefault(before, number)
    begun = set(next_of.values())
    described: list[Described] = []
    names: set[str] = set()
    for number in range(len(pictures)):
        if number not in begun:
            chain = [pictures[at] for at in _chain(number, next_of)]
            name = _name_of(chain, names)
            names.add(name)
            described += [
                Described(*each, name, _lost(chain[:place], each[1]))
                for place, each in enumerate(chain)
            ]
    return described


def _chain(number: int, next_of: Mapping[int, int]) -> Iterator[int]:
    """Yield the numbers of a picture, and of the frames after it."""
    at: int | None = number
    while at is not None:
        yield at
        at = next_of.get(at)


def _name_of(chain: Sequence[tuple[Place, Provenance]], taken: set[str]) -> str:
    """Return the name of a chain, which no other chain has; empty if it is no sequence."""
    name = chain[-1][1].sequence
    if not name or name not in taken:
        return name
    number = 2
    while f"{name} {number}" in taken:
        number += 1
    return f"{name} {number}"


def _lost(before: Sequence[tuple[Place, Provenance]], provenance: Provenance) -> tuple[str, ...]:
    """Return why a picture is not made again by the rows of the pictures before it."""
    if not provenance.previous or (before and before[-1][1].key == provenance.previous):
        return ()
    wrong = (
        f"sequence: it is frame {provenance.frame} of {provenance.sequence!r}, which starts from "
        "the frame before; that picture is not among these, or another frame follows it; name the "
        "pictures of all its frames, from the first one on"
    )
    return (wrong,)
