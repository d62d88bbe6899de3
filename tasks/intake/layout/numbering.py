"""One name for each row: numbers where several want the same, and names that rows had before."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count

from tasks.intake.layout.errors import LayoutError
from tasks.store.output_names import as_one_result, checked_output

NONE_DISTINGUISHES = (
    "no field distinguishes them; rename one of the files, or leave out --names, and one result "
    "gets a number"
)


@dataclass(frozen=True)
class Wanted:
    """A row and its name: what distinguishes it, by the cells that it has in a manifest."""

    content: str
    style: str
    name: str


@dataclass(frozen=True)
class Kept:
    """What earlier commands left in an output folder.

    Attributes:
        rows: those of its manifest.
        names: all names that were ever given to rows, the latest last.
        is_there: returns whether the photograph that a cell names still exists.
    """

    rows: Sequence[Wanted] = ()
    names: Sequence[Wanted] = ()
    is_there: Callable[[str], bool] = lambda _: False


def numbered(wanted: Sequence[Wanted], kept: Kept, *, has_template: bool = False) -> list[str]:
    """Return a unique name for each row, which is the one that it had before, if it had one.

    Where several rows want one name, all but the first get a number. A name that an earlier command
    gave to another photograph is not given again as long as that photograph exists, so that its
    result is not replaced.

    Args:
        wanted: the rows.
        kept: what earlier commands left.
        has_template: the names come from the user's template, which may leave out the style; the
            rows of one photograph then share names.
    """
    earlier: dict[tuple[str, str], list[str]] = {}
    for row in kept.names:
        earlier.setdefault((row.content, row.style), []).append(row.name)
    names: dict[int, str] = {}
    taken: set[str] = set()
    # Most names are looked at more than once.
    one = cache(one_name)
    for at, row in enumerate(wanted):
        for name in earlier.get((row.content, row.style), ()):
            if _is_numbered(name, row.name) and one(name) not in taken:
                names[at] = name
                taken.add(one(name))
                break
    others = _Others(wanted, kept, has_template=has_template)
    for at, row in enumerate(wanted):
        if at not in names:
            free = (
                name
                for name in _candidates(row.name)
                if one(name) not in taken and not others.have(name, row)
            )
            names[at] = next(free)
            taken.add(one(names[at]))
    return [names[at] for at in range(len(wanted))]


def _is_numbered(name: str, plain: str) -> bool:
    """Return whether a name is the plain one, or that with a number after it."""
    number = name.removeprefix(f"{plain}-")
    return name == plain or (number != name and number.isdecimal())


class _Others:
    """The rows of earlier commands that are not wanted now, and the names that they have."""

    def __init__(self, wanted: Iterable[Wanted], kept: Kept, *, has_template: bool) -> None:
        now = {(row.content, row.style) for row in wanted}
        self._kept, self._has_template = kept, has_template
        self._owners: dict[str, list[Wanted]] = {}
        for row in kept.names:
            if (row.content, row.style) not in now:
                self._owners.setdefault(one_name(row.name), []).append(row)

    def have(self, name: str, row: Wanted) -> bool:
        """Return whether another photograph, or another style of it, has the name."""
        if not self._owners:
            return False
        owners: Collection[Wanted] = self._owners.get(one_name(name), ())
        return any(
            (each.content != row.content or not self._has_template)
            and self._kept.is_there(each.content)
            for each in owners
        )


def _candidates(name: str) -> Iterator[str]:
    yield name
    for number in count(2):
        yield f"{name}-{number}"


def one_name(name: str) -> str:
    """Return a text that is equal for names that two rows cannot both have."""
    return as_one_result(checked_output(name))


def check_distinct(
    wanted: Sequence[Wanted], distinguishing: Callable[[int, int], list[str]]
) -> None:
    """Refuse two rows with the same name.

    Args:
        wanted: the rows.
        distinguishing: returns the fields that the template of names lacks and that differ between
            two rows, which are given by their numbers.

    Raises:
        LayoutError: there are such rows.
    """
    first: dict[str, int] = {}
    for at, row in enumerate(wanted):
        before = first.setdefault(one_name(row.name), at)
        if before != at:
            other, fields = wanted[before], distinguishing(before, at)
            named = " or ".join(f"{{{field}}}" for field in fields)
            advice = f"add {named}, which distinguishes them" if fields else NONE_DISTINGUISHES
            raise LayoutError(
                f"--names: both {other.content} with {other.style} and {row.content} with "
                f"{row.style} would be {row.name!r}; {advice}"
            )
