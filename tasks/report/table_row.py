"""The table of a batch as typed values: one row, and all of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, get_args

from nst_core.transfer.losses.terms import LOSS_TERMS, loss_name, weight_name
from tasks.store.statuses import STATUSES, STOPPED, Status

Change = Literal["", "same", "new", "changed", "moved", "mended", "broken"]
CHANGES: tuple[Change, ...] = get_args(Change)
"""How a row can compare with the previous table; `docs/outputs.md` explains each."""


RELATIVE_LOSS = "relative_loss_"


def columns_by_key(layers: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the columns of each field of `TableRow` that is a mapping, by its keys.

    Args:
        layers: the style layers with relative losses.
    """
    return {
        "term_losses": {term: loss_name(term) for term in LOSS_TERMS},
        "relative_losses": {layer: f"{RELATIVE_LOSS}{layer}" for layer in layers},
        "term_weights": {term: weight_name(term) for term in LOSS_TERMS},
    }


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """A row of the table; its fields are the table's columns, in their order.

    A field that is a mapping has a column for each key; `columns_by_key` names them.

    None means that a row has no such value: measures belong to rows with a picture, and settings to
    rows without faults. If a table of an earlier version lacks a column, all its rows have the
    field's default. `docs/outputs.md` explains the columns.

    Attributes:
        line: the row's first line in the manifest.
        picture, curve: paths relative to the output folder; for an `interrupted` row, the best
            picture so far. `curve` is empty if there is a picture, but no stored curve.
        content, style, init, content_mask, style_mask, sequence, flow: the cells of the manifest,
            redacted.
        style_score, content_score: as docs/scores.md explains them.
        term_losses: the loss terms before their weights, by term.
        relative_losses: by style layer.
        retries: how often the row was tried again in the run that made its picture; if it failed,
            in this run.
        steps: all steps that were done; without a picture, the setting, which is for one octave.
        peak_memory_mb: in megabytes; the resident memory on a CPU, TensorFlow's own on a GPU.
        width, height: the size of the result, in pixels.
        seed: of the picture; without one, the setting.
        style_targets: `computed` or `hit`.
        output: the name of the result, with `/` between folders; empty if the row has none.
        same_as: the line of an earlier, equal row, with which it shares its result.
        change, previous_loss: the comparison with the previous table.
        asked: whether the run was asked to run the row.
        last_status: how a row that was not asked for last ended, if it has no picture; else empty.
        size, ..., precision: the settings, as in `Settings`.
        term_weights: the settings that are weights of loss terms, by term.
        degraded: how the picture differs from what was asked for, for lack of memory; else empty.
        warnings: what is odd about the row although it is done; usually empty.
        error: why the row is not done; otherwise empty.
    """

    line: int
    status: Status
    picture: str | None = None
    content: str = ""
    style: str = ""
    style_score: float | None = None
    content_score: float | None = None
    total_loss: float | None = None
    term_losses: Mapping[str, float] = field(default_factory=dict)
    start_loss: float | None = None
    relative_losses: Mapping[str, float] = field(default_factory=dict)
    steps: int | None = None
    evaluations: int | None = None
    stop_reason: str | None = None
    recoveries: int | None = None
    retries: int | None = None
    seconds: float | None = None
    device: str | None = None
    peak_memory_mb: float | None = None
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    encoder_fingerprint: str | None = None
    style_targets: str | None = None
    curve: str | None = None
    output: str = ""
    key: str | None = None
    same_as: int | None = None
    change: Change = ""
    previous_loss: float | None = None
    asked: bool = True
    last_status: Status | Literal[""] = ""
    size: int | None = None
    enlarge: bool | None = None
    style_scale: float | None = None
    style_blend: str | None = None
    style_mix: str | None = None
    style_rotations: int | None = None
    strength: float | None = None
    term_weights: Mapping[str, float] = field(default_factory=dict)
    tv_kind: str | None = None
    normalize_gradients: bool | None = None
    content_layers: str | None = None
    style_layers: str | None = None
    normalization: str | None = None
    gram: str | None = None
    style_measure: str | None = None
    content_measure: str | None = None
    match_colors: bool | None = None
    color: str | None = None
    color_match: str | None = None
    color_space: str | None = None
    start: str | None = None
    start_noise: float | None = None
    start_blend: float | None = None
    init: str = ""
    content_mask: str = ""
    style_mask: str = ""
    mask_feather: float | None = None
    alpha_mask: bool | None = None
    sequence: str = ""
    flow: str = ""
    optimizer: str | None = None
    learning_rate: float | None = None
    learning_rate_decay: str | None = None
    learning_rate_end: float | None = None
    average: float | None = None
    carry_state: bool | None = None
    beta_2: float | None = None
    best_of_every: int | None = None
    clip: str | None = None
    octaves: int | None = None
    tolerance: float | None = None
    keep_alpha: bool | None = None
    format: str | None = None
    depth: int | None = None
    quality: int | None = None
    enlarge_result: bool | None = None
    metadata: str | None = None
    encoder: str | None = None
    pooling: str | None = None
    precision: str | None = None
    degraded: str = ""
    warnings: str = ""
    error: str = ""

    @property
    def why(self) -> str:
        """Why the row is not done, without its line number, which is always shown beside it."""
        return self.error.replace(f"line {self.line}, ", "")


@dataclass(frozen=True)
class Table:
    """The table of a batch.

    Attributes:
        rows: a row for each row of the manifest, in the same order.
        layers: the style layers with a column of relative losses, in the order of these columns.
        made_at: when the batch ended, with a time zone; None if the table does not say.
        manifest: where the manifest was, redacted; empty if the table does not say.
        seconds_left: if rows are left because the time of the run was up, how many seconds they
            would take by estimation; otherwise None.
    """

    rows: tuple[TableRow, ...]
    layers: tuple[str, ...] = ()
    made_at: datetime | None = None
    manifest: str = ""
    seconds_left: float | None = None

    @property
    def counts(self) -> dict[str, int]:
        """The number of rows for each status that occurs."""
        counts = Counter(row.status for row in self.rows)
        return {status: counts[status] for status in STATUSES if counts[status]}

    def with_status(self, *statuses: Status) -> tuple[TableRow, ...]:
        """Return the rows that have one of these statuses, in order."""
        return tuple(row for row in self.rows if row.status in statuses)

    def without_status(self, *statuses: Status) -> tuple[TableRow, ...]:
        """Return the other rows, in order."""
        return tuple(row for row in self.rows if row.status not in statuses)

    @property
    def what_is_left(self) -> str:
        """How many rows are left because the time was up, for people; empty if none are."""
        count = len(self.asked_for.with_status(*STOPPED))
        if self.seconds_left is None:
            return ""
        return "1 row is left" if count == 1 else f"{count} rows are left"

    @property
    def asked_for(self) -> "Table":
        """The same table with only the rows that the run was asked to run."""
        return replace(self, rows=tuple(row for row in self.rows if row.asked))

    @property
    def with_warnings(self) -> tuple[TableRow, ...]:
        """The rows that have warnings, in order."""
        return tuple(row for row in self.rows if row.warnings)

    @property
    def stylized_here(self) -> tuple[TableRow, ...]:
        """The rows that this run stylized; a copy of an equal row's picture is not one of them."""
        return tuple(row for row in self.with_status("done") if row.same_as is None)

    @property
    def seconds(self) -> float:
        """How long this run's rows were stylized, in seconds, added up over all devices."""
        return sum(row.seconds or 0 for row in self.stylized_here)
