"""What can be asked of a run: one declaration for the command line, the flow and the documents."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from nst_core.devices import AUTO, written_plainly
from nst_core.images.picture_files import DEFAULT_MAX_PIXELS
from nst_core.storage.files import user_cache
from nst_core.storage.places import PlaceField
from nst_core.transfer.octaves import REPORT_EVERY
from nst_core.transfer.presets import Overrides
from tasks.engine.runner_choice import LOCAL, RunnerName
from tasks.option_types import (
    CheckpointEvery,
    Group,
    MaxPixels,
    MaxRows,
    PreviewSide,
    Retries,
    SaveEvery,
    Shown,
    TypedDevices,
    WebUrl,
)

if TYPE_CHECKING:
    from nst_core.networks.store import WeightStore
    from tasks.store.output_folder import OutputFolder
    from tasks.store.style_cache import StyleCache


CHECKPOINT_SECONDS = 60.0
RETRIES = 2


class CheckRequest(BaseModel):
    """What can be asked of a run whose output folder may not be chosen yet.

    The fields have the names, the order and the defaults of the flow's parameters.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    manifest: Annotated[PlaceField, Shown(Group.WHAT)] = Field(
        description="CSV file (a path, or a URL such as s3://bucket/night.csv) with the columns "
        "content and style; other columns set a row's output, priority, preset or any setting",
    )
    output: Annotated[PlaceField | None, Shown(Group.OUTPUT)] = Field(
        None, description="also check that results can be written to this folder"
    )
    settings: Annotated[Overrides, Shown(Group.LOOK)] = Field(
        Overrides(),
        description="a preset and settings for all rows; a row's own cells take precedence",
    )
    weights: Annotated[Path | None, Shown(Group.LOOK, "$NST_BATCH_WEIGHTS")] = Field(
        None,
        description="file or folder of weights that do not come with the package; searched before "
        "the cache",
    )
    cache: Annotated[
        PlaceField | None, Shown(Group.WHERE, "$NST_BATCH_CACHE or ~/.cache/nst-batch")
    ] = Field(
        None,
        description="folder for style targets and downloaded weights: a path or a URL; weights are "
        "stored on this machine even if it is a URL",
    )
    refresh: Annotated[bool, Shown(Group.WHAT)] = Field(
        False,
        description="stylize every row again, even if it is done, and compute every style's "
        "targets again; with --only, this applies only to the rows that it names",
    )
    only: Annotated[str | None, Shown(Group.WHAT)] = Field(
        None,
        description="run only some rows, such as failed or 3,7-9: those with a status in the last "
        "table of the output folder (failed, interrupted, pending, invalid), and those that begin "
        "in these lines of the manifest",
    )
    limit: Annotated[MaxRows | None, Shown(Group.WHAT)] = Field(
        None, description="run only the first so many rows that are not done"
    )
    strict: Annotated[bool, Shown(Group.WHAT)] = Field(
        False,
        description="run nothing if any row that is asked for has an error, and never degrade a "
        "row: it fails if it needs more memory than there is",
    )
    preview: Annotated[PreviewSide | None, Shown(Group.WHAT)] = Field(
        None,
        description="make previews: results whose longest side has at most so many pixels; the "
        "output folder must be one for previews only (`nst-batch preview` chooses folder and rows)",
    )
    max_pixels: Annotated[MaxPixels, Shown(Group.WHAT)] = Field(
        DEFAULT_MAX_PIXELS, description="refuse pictures with more pixels than this"
    )
    until: Annotated[str | None, Shown(Group.WHAT)] = Field(
        None,
        description="start only rows that are expected to end before this time, such as 06:00, "
        "06:00 Europe/Berlin, 06:00+02:00 or 2026-11-27T06:00, and interrupt those that still run "
        "then; the next run continues them; without a date, the next such time counts; without a "
        "zone, the time is local",
    )
    budget: Annotated[str | None, Shown(Group.WHAT)] = Field(
        None,
        description="like --until, but with a duration from the start of the run, such as 5h, 90m, "
        "1h30m or 45s; with both, the earlier end counts",
    )
    row_budget: Annotated[str | None, Shown(Group.WHAT)] = Field(
        None,
        description="end each row once it has run for this long, such as 10m, over all runs that "
        "work on it; the row is then done with its best picture so far, and a warning in the table",
    )
    save_every: Annotated[SaveEvery | None, Shown(Group.OUTPUT)] = Field(
        None,
        description="save each unfinished picture to intermediates/ every N steps of an octave; "
        f"N is a multiple of {REPORT_EVERY}; `nst-batch animate` makes an animation of them",
    )
    checkpoint_every: Annotated[CheckpointEvery, Shown(Group.OUTPUT)] = Field(
        CHECKPOINT_SECONDS,
        description="save the state of each active row at intervals of this many seconds, so that "
        "an interrupted row continues from there in the next run; 0: never",
    )
    retries: Annotated[Retries, Shown(Group.WHAT)] = Field(
        RETRIES,
        description="how many times to try a row again after a transient failure: a lost device, "
        "storage that does not answer, or a lack of memory; the waits before the retries are 2 s, "
        "10 s, and then 60 s each",
    )
    devices: Annotated[TypedDevices, Shown(Group.WHERE)] = Field(
        AUTO,
        description="auto (all GPUs, or the CPU if there is none), gpu (all GPUs, never the CPU), "
        "cpu, or a list such as gpu:0,gpu:2; each device works on one row at a time",
    )
    runner: Annotated[RunnerName, Shown(Group.WHERE)] = Field(
        LOCAL,
        description="where rows run: in this process (local), or on the workers of a Ray or Dask "
        "cluster",
    )
    address: Annotated[
        str | None, Shown(Group.WHERE, "a cluster started on this machine for the run")
    ] = Field(
        None,
        description="address of a running cluster, such as tcp://scheduler:8786 (Dask), head:6379 "
        "or auto (Ray)",
    )
    isolate: Annotated[bool, Shown(Group.WHERE)] = Field(
        False,
        description="run rows in a process for each device: if memory runs out, that process ends "
        "and the row is degraded, but the batch continues",
    )
    served_at: Annotated[WebUrl | None, Shown(Group.OUTPUT)] = Field(
        None,
        description="URL of the output folder, such as https://pictures.example/night, for links "
        "in the Prefect UI",
    )

    @property
    def output_folder(self) -> "OutputFolder | None":
        """The folder of the results; None if it is not chosen yet."""
        from tasks.store.output_folder import OutputFolder

        return OutputFolder(self.output) if self.output is not None else None

    @property
    def style_cache(self) -> "StyleCache":
        """The cache of style targets.

        Raises:
            PlaceError: the user's cache folder is needed, and there is none.
        """
        from tasks.store.style_cache import StyleCache

        return StyleCache(self.cache or user_cache())

    def weight_store(self) -> "WeightStore":
        """Return the places that are searched for weights."""
        from nst_core.networks.store import WeightStore

        return WeightStore.of_user(self.weights, self.cache)


class BatchRequest(CheckRequest):
    """What can be asked of a run: the flow's parameters, with all their limits."""

    output: Annotated[PlaceField, Shown(Group.OUTPUT)] = Field(
        description="folder for pictures, loss curves, the gallery and the summary table, created "
        "if it does not exist; a path, or a URL such as s3://bucket/folder",
    )

    @property
    def output_folder(self) -> "OutputFolder":
        """The folder of the results."""
        from tasks.store.output_folder import OutputFolder

        return OutputFolder(self.output)

    def completed(self) -> "CompleteRequest":
        """Return the same request with its cache filled in, and absolute output and cache.

        Raises:
            PlaceError: the user's cache folder is needed, and there is none.
            DeviceError: the devices are not written as `parse_devices` expects.
        """
        cache, devices = (self.cache or user_cache()).absolute(), written_plainly(self.devices)
        known = {"output": self.output.absolute(), "cache": cache, "devices": devices}
        return CompleteRequest(**{**dict(self), **known})

    def with_absolute_places(self) -> Self:
        """Return the same request for a process that may work in another folder."""
        named = {name: getattr(self, name) for name in ("manifest", "output", "weights", "cache")}
        return self.model_copy(
            update={name: place.absolute() for name, place in named.items() if place is not None}
        )

    def parameters(self) -> dict[str, Any]:
        """Return the flow's parameters in JSON's types, without those that are None.

        Raises:
            DeviceError: the devices are not written as `parse_devices` expects.
        """
        plain = {"devices": written_plainly(self.devices)}
        return self.model_dump(mode="json", exclude_none=True) | plain


class PreviewRequest(CheckRequest):
    """What can be asked of a preview; which rows it shows, and how large, is asked separately."""

    output: Annotated[
        PlaceField | None,
        Shown(Group.OUTPUT, "NAME-preview in this folder for NAME.csv, preview for photographs"),
    ] = Field(None, description="folder for the previews and their page, and for nothing else")


class CompleteRequest(BatchRequest):
    """A request that leaves nothing open: what a running batch works with."""

    cache: Annotated[PlaceField, Shown(Group.WHERE)]
