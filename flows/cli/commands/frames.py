"""The rows of a manifest that are the frames of a moving picture, for `nst-batch manifest`."""

from collections.abc import Sequence

from nst_core.storage.files import find_files
from nst_core.storage.places import Place, place, redacted
from tasks.intake.layout.errors import LayoutError
from tasks.store.output_names import OutputError, checked_output

FLOW_SUFFIX = ".flo"
LEAST_DIGITS = 4
"""In the names of results, so that they sort by number for any program."""


def find_flows(named: str) -> list[Place]:
    """Return the `.flo` files in a folder, or those that match a glob, in no particular order.

    Raises:
        OSError: there is no such folder, or it cannot be read.
        PlaceError: a URL cannot be used.
    """
    return [path for path in find_files(place(named)) if path.suffix.lower() == FLOW_SUFFIX]


def outputs_of(sequence: str, count: int) -> list[str]:
    """Return the outputs of the frames of a sequence, such as `walk/0001`.

    Raises:
        LayoutError: no folder can have the sequence's name.
    """
    digits = max(LEAST_DIGITS, len(str(count)))
    outputs = [f"{sequence}/{number:0{digits}}" for number in range(1, count + 1)]
    try:
        checked_output(outputs[-1])
    except OutputError as error:
        raise LayoutError(f"--sequence: found {sequence!r}; {error}") from error
    return outputs


def check_layout(
    frames: Sequence[Place], styles: Sequence[Place], flows: Sequence[Place] | None
) -> None:
    """Refuse files that do not make up a sequence.

    Args:
        frames: the frames.
        styles: the styles; a sequence has one.
        flows: the flow from each frame but the first to the frame before; None if they are to be
            computed.

    Raises:
        LayoutError: there are too many or too few of them.
    """
    if len(styles) != 1:
        raise LayoutError(
            f"--sequence: found {len(styles)} styles, such as {redacted(styles[0])}; expected one; "
            "name its file, and write a manifest for each style"
        )
    if flows is not None and len(flows) != len(frames) - 1:
        raise LayoutError(
            f"--flow: found {len(flows)} {FLOW_SUFFIX} files; expected {len(frames) - 1}, one for "
            f"each of the {len(frames)} frames but the first"
        )
