"""From photographs, styles and settings to the rows of a manifest: the one place for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from nst_core.storage.places import Place
from nst_core.transfer.allowed import counted
from tasks.intake.layout.errors import LayoutError
from tasks.intake.layout.naming import Named, Template
from tasks.intake.layout.numbering import Kept, Wanted, check_distinct, numbered
from tasks.intake.layout.pairing import Pairing, Pairs, pair
from tasks.intake.layout.pictures import Content, Seen, Style, find_contents, find_styles
from tasks.intake.layout.sweep import Sweep
from tasks.store.csv_cells import to_csv
from tasks.store.output_folder import OutputFolder

MOST_ROWS = 1_000_000


@dataclass(frozen=True)
class Layout:
    """How rows are laid out.

    Attributes:
        contents, styles: paths, URLs, folders and globs.
        recursive: also take the pictures in folders of folders of contents.
        pairing: which contents get which styles.
        pairing_seed: chooses other random pairs.
        names: a template of the results' names; the default one if it is empty.
        sweep: the settings of all rows, and those that vary.
        ready: the places, as texts, of the only contents that are laid out; None for all.
    """

    contents: tuple[str, ...]
    styles: tuple[str, ...]
    recursive: bool = False
    pairing: Pairing = "all"
    pairing_seed: int = 0
    names: Template = field(default_factory=Template)
    sweep: Sweep = field(default_factory=lambda: Sweep({}))
    ready: frozenset[str] | None = None


@dataclass(frozen=True)
class LaidOut:
    """Rows that are laid out.

    Attributes:
        table: the header and the rows of a manifest.
        seen: what was found for each name that was typed.
        described: what the rows are, for people.
    """

    table: tuple[tuple[str, ...], ...]
    seen: tuple[Seen, ...]
    described: str

    @property
    def count(self) -> int:
        """The number of rows."""
        return len(self.table) - 1

    @property
    def named(self) -> list[Wanted]:
        """The rows with their names, if they have them."""
        return [Wanted(*row[:3]) for row in self.table[1:]]

    @property
    def text(self) -> str:
        """The text of the manifest."""
        return to_csv(self.table)


def lay_out(
    layout: Layout,
    folder: Place,
    *,
    kept: Kept | None = None,
    output: OutputFolder | None = None,
    with_outputs: bool = True,
    styles_are_contents: bool = False,
) -> LaidOut:
    """Return the rows of a manifest in a folder, first those that an earlier one had.

    Args:
        layout: what to lay out.
        folder: the folder of the manifest, from which its paths start.
        kept: what earlier commands left in the folder: rows, and names that rows keep.
        output: the output folder, whose results are no contents; None if it is unknown.
        with_outputs: name the results; otherwise, whoever reads the manifest names them.
        styles_are_contents: a style in a folder of contents is a content, too.

    Raises:
        LayoutError: there are no pictures, or they cannot be laid out like this.
    """
    styles, seen_styles = find_styles(layout.styles, folder)
    excluded = set() if styles_are_contents else {style.cell for style in styles}
    contents, seen = find_contents(
        layout.contents,
        folder,
        recursive=layout.recursive,
        output=output,
        styles=excluded,
        ready=layout.ready,
        may_be_none=layout.ready is not None,
    )
    pairs = pair(contents, styles, layout.pairing, layout.pairing_seed)
    choices = [*layout.sweep.choices()]
    if len(pairs) * len(choices) > MOST_ROWS:
        raise LayoutError(
            f"found {len(pairs):,} pairs with {len(choices):,} choices of settings each; expected "
            f"at most {MOST_ROWS:,} rows"
        )
    header = ("content", "style", *(["output"] if with_outputs else []), *layout.sweep.values)
    rows = _rows(layout, pairs, choices, kept or Kept(), with_outputs=with_outputs)
    return LaidOut((header, *rows), (seen, seen_styles), described(layout, contents, styles))


def _rows(
    layout: Layout,
    pairs: Pairs,
    choices: Sequence[dict[str, str]],
    kept: Kept,
    *,
    with_outputs: bool,
) -> list[tuple[str, ...]]:
    settings = [tuple(choice.values()) for _ in pairs for choice in choices]
    places = [(content.cell, style.cell) for content, style in pairs for _ in choices]
    if not with_outputs:
        return [(*place, *cells) for place, cells in zip(places, settings, strict=True)]
    varied = layout.sweep.varied
    named = [
        Named(content, style, choice, varied) for content, style in pairs for choice in choices
    ]
    wanted = [Wanted(row.content.cell, row.style.cell, layout.names.name(row)) for row in named]
    if layout.names.text:
        check_distinct(wanted, lambda one, other: layout.names.lacks(named[one], named[other]))
    names = numbered(wanted, kept, has_template=bool(layout.names.text))
    rows = [
        (*place, name, *cells) for place, name, cells in zip(places, names, settings, strict=True)
    ]
    before = {row.name: at for at, row in enumerate(kept.rows)}
    return sorted(rows, key=lambda row: before.get(row[2], len(before)))


def described(layout: Layout, contents: Sequence[Content], styles: Sequence[Style]) -> str:
    """Return what rows are, for people, such as `12 photographs x 2 styles`."""
    ways = {"all": " x ", "zip": ", each with its own of ", "random": ", each with one of "}
    way = ways[layout.pairing]
    # Each content has one of the styles, whether there are more or not.
    of_styles = (
        counted(len(styles), "style") if layout.pairing == "all" else f"{len(styles)} styles"
    )
    text = f"{counted(len(contents), 'photograph')}{way}{of_styles}"
    return f"{text} x {layout.sweep}" if layout.sweep.varied else text
