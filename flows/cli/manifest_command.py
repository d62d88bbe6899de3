"""`nst-batch manifest`: its options; the command itself is imported when it runs."""

import inspect
from collections.abc import Mapping
from functools import wraps
from typing import Annotated, Any

from cyclopts import Parameter

from flows.cli.layout_options import (
    LAYOUT_OPTIONS,
    layout_of,
    layout_parameters,
    setting_parameters,
)
from flows.cli.options import (
    LAYOUT,
    OUTPUT,
    BlendSteps,
    Command,
    FileOption,
    Flag,
    OutputJson,
    TextOption,
    with_parameters,
)
from flows.cli.terminal import Terminal, refuse
from nst_core.errors import UserError
from nst_core.transfer.presets import Overrides
from tasks.intake.layout.layout import Layout


def asking_for_layout(command: Command) -> Command:
    """Give a command with contents and styles the options of a layout, its first argument."""

    @wraps(command)
    def run(contents: str, styles: str, **given: Any) -> int:
        try:
            layout = _layout(contents, styles, given)
        except UserError as error:
            return refuse(Terminal(), error)
        its_own = {name: value for name, value in given.items() if name in names}
        return command(layout, **its_own)

    _, *own = inspect.signature(command).parameters.values()
    names = {parameter.name for parameter in own}
    positional = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY, annotation=str)
        for name in ("contents", "styles")
    ]
    parameters = [*positional, *own, *layout_parameters(), *setting_parameters()]
    return with_parameters(run, parameters)


def _layout(contents: str, styles: str, given: Mapping[str, Any]) -> Layout:
    options = {name: given[name] for name in LAYOUT_OPTIONS if name in given}
    settings = {name: given[name] for name in Overrides.model_fields if given.get(name)}
    return layout_of((contents,), (styles,), options, settings)


@asking_for_layout
def write_manifest(
    layout: Layout,
    *,
    output: Annotated[
        FileOption, Parameter(alias="-o", group=OUTPUT, help="the CSV file to write")
    ],
    sequence: Annotated[TextOption | None, Parameter(group=LAYOUT)] = None,
    flow: Annotated[TextOption | None, Parameter(group=LAYOUT)] = None,
    overwrite: Annotated[bool, Flag, Parameter(group=OUTPUT)] = False,
    blend_steps: Annotated[BlendSteps | None, Parameter(group=LAYOUT)] = None,
    json: OutputJson = False,
) -> int:
    """Write a manifest that pairs every content with every style, from two folders or globs.

    With `--sequence`, the contents are the frames of a moving picture, in the order of the numbers
    in their names (frame2 before frame10), and there is one style.

    Settings become columns. If one has several values, such as `--style-weight 1,3,10`, there is a
    row for each. With these, `--recursive` or `--names`, the column `output` names the results.

    Args:
        contents: folder, or quoted glob such as 'photos/**/*.jpg'
        styles: folder, or quoted glob
        sequence: name of the moving picture whose frames the contents are
        flow: folder or quoted glob of .flo files, from each frame but the first to the one before;
            computed if omitted
        overwrite: replace the file if it exists
        blend_steps: instead of pairs, write so many blends that lead from one of two styles to the
            other, or a square of so many blends along each side between three or four styles
    """
    from flows.cli.commands.pairs import write_rows

    return write_rows(
        *(Terminal(as_json=json), layout, output),
        overwrite=overwrite,
        sequence=sequence or "",
        flow=flow or "",
        blend_steps=blend_steps,
    )
