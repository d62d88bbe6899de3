"""nst-batch: the command line.

Commands are imported when they run, so that help and `check` load neither Prefect nor TensorFlow.
"""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter, validators
from cyclopts.exceptions import CycloptsError
from pydantic import ValidationError

from flows.cli.main import end_on_signal, main
from flows.cli.options import (
    BatchOptions,
    Cache,
    Devices,
    Existing,
    Flag,
    Json,
    Output,
    RowOptions,
    WeightsPath,
    to_place,
    to_places,
)
from flows.cli.terminal import Terminal
from flows.process import environment
from flows.process.signals import answer_signals
from nst_core.storage.files import user_cache
from nst_core.storage.places import Place

__all__ = ["app", "main"]

if TYPE_CHECKING:
    from nst_core.networks.store import WeightStore


def _store(weights: Path | None, cache: Place | None) -> "WeightStore":
    """Where weights are looked for; imported when needed, as all that reads files is."""
    from nst_core.networks.store import WeightStore

    return WeightStore.of_user(weights, cache)


def _usage_error(error: CycloptsError) -> str:
    """The error in our words where it is about a setting, else in those of the parser."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ValidationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return str(error)
    return "\n".join(
        f"--{str(fault['loc'][0]).replace('_', '-')}: found {fault['input']!r}; "
        + fault["msg"].replace("Input should be", "expected").removeprefix("Value error, ")
        for fault in cause.errors()
    )


app = App(
    name="nst-batch",
    help="Neural style transfer for thousands of pictures. Reads a CSV manifest of content and "
    "style pairs, and writes the pictures and a table of their losses.",
    version=lambda: version("nst-batch"),
    error_formatter=_usage_error,
)
cache_app = App(name="cache", help="List and remove cached style targets.")
app.command(cache_app)
weights_app = App(
    name="weights", help="Manage the weights of encoders that are not in the package."
)
app.command(weights_app)


@app.command
def run(
    manifest: Existing,
    /,
    *,
    output: Output,
    options: BatchOptions = BatchOptions(),  # noqa: B008 - frozen, so that sharing it is harmless
    refresh: Annotated[bool, Flag] = False,
    json: Json = False,
    verbose: Annotated[bool, Flag] = False,
) -> int:
    """Stylize every row of a manifest that is not done yet.

    Exit code 0: every row has its picture. 1: some rows failed or are invalid; the others are
    done. 2: the manifest or an option cannot be used; nothing ran. 3: the batch ended early.
    130: it was interrupted; rerun the same command to resume.

    Args:
        manifest: CSV file with the columns content and style; other columns set a row's output,
            preset or any setting.
        refresh: stylize every row again, even if it is done.
        verbose: show the logs of Prefect and TensorFlow.
    """
    # Until the flow runs nothing can be lost.
    answer_signals(end_on_signal)
    environment.prepare(verbose=verbose)
    from flows.cli.commands.run import run as run_batch

    parameters = options.flow_parameters() | {"refresh": refresh}
    terminal = Terminal(as_json=json)
    return run_batch(terminal, manifest, output, options.settings, verbose=verbose, **parameters)


@app.command
def serve(
    manifest: Existing,
    /,
    *,
    output: Output,
    options: BatchOptions = BatchOptions(),  # noqa: B008
    cron: Annotated[str, Parameter(help="schedule as a cron expression")] = "0 1 * * *",
    timezone: Annotated[str, Parameter(help="time zone of the schedule")] = "UTC",
    name: Annotated[str, Parameter(help="name of the deployment")] = "served",
) -> int:
    """Run a manifest every night for as long as this process lives; a server keeps the schedule.

    This needs a server (`prefect server start`, `PREFECT_API_URL`), but no work pool or worker.

    Exit code 0: it was stopped (Ctrl-C, SIGTERM, SIGHUP). 2: the schedule or an option is wrong.

    Args:
        manifest: CSV file, which is read again each night.
    """
    environment.prepare(verbose=True)
    from flows.cli.commands.serve import serve as serve_manifest

    return serve_manifest(
        Terminal(),
        manifest,
        output,
        options.settings,
        name=name,
        cron=cron,
        timezone=timezone,
        **options.flow_parameters(),
    )


@app.command
def check(
    manifest: Existing,
    /,
    *,
    output: Annotated[
        Place | None,
        Parameter(alias="-o", converter=to_place, help="also check that this folder is writable"),
    ] = None,
    options: RowOptions = RowOptions(),  # noqa: B008
    json: Json = False,
) -> int:
    """List every error in every row of a manifest; nothing is run or written.

    Exit code 0: no errors. 1: some rows have errors. 2: the manifest cannot be used at all.

    Args:
        manifest: CSV file with the columns content and style.
    """
    from flows.cli.commands.check import check as check_manifest

    store = _store(options.weights, options.cache)
    terminal = Terminal(as_json=json)
    return check_manifest(terminal, manifest, output, options.settings, store, options.max_pixels)


@app.command
def plan(
    manifest: Existing,
    /,
    *,
    output: Output,
    options: RowOptions = RowOptions(),  # noqa: B008
    devices: Devices = "auto",
    json: Json = False,
) -> int:
    """Show what a run would do: new, done and invalid rows, styles to compute, time and memory.

    Args:
        manifest: CSV file with the columns content and style.
    """
    from flows.cli.commands.plan import plan as plan_manifest

    kept = options.cache or user_cache()
    return plan_manifest(
        Terminal(as_json=json),
        manifest,
        output,
        kept,
        _store(options.weights, kept),
        options.settings,
        options.max_pixels,
        devices,
    )


@app.command
def plot(output: Existing, row: str | None = None, /, *, json: Json = False) -> int:
    """Plot the loss curve of a row, or the total losses of all rows, as PNG and as SVG.

    Args:
        output: the output folder of a run.
        row: a line number in the manifest, or the name of an output, such as `anna_night`.
    """
    from flows.cli.commands.plot import plot as plot_losses

    return plot_losses(Terminal(as_json=json), output, row)


@app.command
def animate(
    output: Existing,
    row: str,
    /,
    *,
    format: Annotated[  # noqa: A002 - as users call it
        Literal["webp", "gif"], Parameter(help="webp keeps all colors; gif plays everywhere")
    ] = "webp",
    size: Annotated[
        int, Parameter(help="longest side, in pixels", validator=validators.Number(gte=16))
    ] = 512,
    seconds: Annotated[
        float,
        Parameter(
            help="seconds until the result appears", validator=validators.Number(gt=0, lte=600)
        ),
    ] = 4.0,
    json: Json = False,
) -> int:
    """Show a row's progress as an animation, if it was run with `--save-every`.

    Args:
        output: the output folder of a run.
        row: a line number in the manifest, or the name of an output, such as `anna_night`.
    """
    from flows.cli.commands.animate import animate as animate_row

    terminal = Terminal(as_json=json)
    return animate_row(terminal, output, row, format, size=size, seconds=seconds)


@app.command(name="show")
def show_provenance(
    picture: Existing,
    /,
    *more: Annotated[Place, Parameter(converter=to_place)],
    look_in: Annotated[
        tuple[Place, ...],
        Parameter(
            converter=to_places,
            negative="",
            help="folder in which to search for contents and styles by their pixels",
        ),
    ] = (),
    json: Json = False,
) -> int:
    """Show how pictures were made, and print a manifest that makes them again.

    In a pipe, only the manifest is printed: `nst-batch show results/pictures/*.png > again.csv`.

    Exit code 0: all contents and styles were found. 1: some were not. 2: a picture is not a result.

    Args:
        picture: the result of a run.
        more: more results, each of which gives another row.
    """
    from flows.cli.commands.show import show

    return show(Terminal(as_json=json), (picture, *more), look_in)


@app.command(name="manifest")
def write_manifest(
    contents: str,
    styles: str,
    /,
    *,
    output: Annotated[
        Place, Parameter(alias="-o", converter=to_place, help="the CSV file to write")
    ],
    overwrite: Annotated[bool, Flag] = False,
    json: Json = False,
) -> int:
    """Write a manifest that pairs every content with every style, from two folders or globs.

    Args:
        contents: folder, or quoted glob such as 'photos/**/*.jpg'.
        styles: folder, or quoted glob.
        overwrite: replace the file if it exists.
    """
    from flows.cli.commands.pairs import write_pairs

    return write_pairs(Terminal(as_json=json), contents, styles, output, overwrite=overwrite)


@app.command
def demo(folder: Annotated[Place, Parameter(converter=to_place)], /, *, json: Json = False) -> int:
    """Write sample pictures, and a manifest for them, into a folder.

    Args:
        folder: is created if it does not exist.
    """
    from flows.cli.commands.demo import write_demo

    return write_demo(Terminal(as_json=json), folder)


@app.command
def presets(*, json: Json = False) -> int:
    """Show the settings of each preset."""
    from flows.cli.commands.presets import presets as show_presets

    return show_presets(Terminal(as_json=json))


@cache_app.command(name="list")
def list_cache(*, cache: Cache = None, json: Json = False) -> int:
    """List the cached style targets, and whether each is complete."""
    from flows.cli.commands.cache import list_styles

    return list_styles(Terminal(as_json=json), cache or user_cache())


@cache_app.command
def prune(
    *,
    cache: Cache = None,
    older_than: Annotated[float, Parameter(help="remove targets unused for this many days")] = 90.0,
    dry_run: Annotated[bool, Flag] = False,
    json: Json = False,
) -> int:
    """Remove old and damaged style targets; rows that need them compute them again."""
    from flows.cli.commands.cache import prune as prune_cache

    terminal = Terminal(as_json=json)
    return prune_cache(terminal, cache or user_cache(), older_than, dry_run=dry_run)


@weights_app.command(name="list")
def list_weights(*, weights: WeightsPath = None, cache: Cache = None, json: Json = False) -> int:
    """Show every network, whether its weights are on this machine, and how to get them."""
    from flows.cli.commands.weights import list_weights as show_networks

    return show_networks(Terminal(as_json=json), _store(weights, cache))


@weights_app.command
def fetch(*networks: str, cache: Cache = None, json: Json = False) -> int:
    """Download published weights into the cache, and verify their checksums.

    Args:
        networks: vgg16, vgg19 or both.
    """
    from flows.cli.commands.weights import fetch as fetch_weights

    return fetch_weights(Terminal(as_json=json), _store(None, cache), networks)


@weights_app.command
def convert(
    file: Path,
    /,
    *,
    output: Annotated[
        Path | None,
        Parameter(alias="-o", help="the file to write [default: in the cache, where runs find it]"),
    ] = None,
    from_rgb: Annotated[bool, Flag] = False,
    cache: Cache = None,
    json: Json = False,
) -> int:
    """Check weights in any known format, and write them as safetensors.

    Args:
        file: .h5, .weights.h5, .keras, .npz, .npy or .safetensors file of a known network.
        from_rgb: the file's first layer expects RGB; convert it to the network's BGR.
    """
    from flows.cli.commands.weights import convert as convert_weights

    store = _store(None, cache)
    return convert_weights(Terminal(as_json=json), store, file, output, from_rgb=from_rgb)


@weights_app.command
def normalize(
    network: str,
    pictures: str,
    /,
    *,
    output: Annotated[
        Path | None,
        Parameter(alias="-o", help="the file to write [default: in the cache, where runs find it]"),
    ] = None,
    size: Annotated[
        int, Parameter(help="longest side of the pictures", validator=validators.Number(gte=64))
    ] = 512,
    weights: WeightsPath = None,
    cache: Cache = None,
    json: Json = False,
) -> int:
    """Scale each filter to a mean activation of 1 over pictures, as Gatys et al. did with VGG-19.

    Args:
        network: vgg16 or vgg19; its plain weights must be on this machine.
        pictures: folder, or quoted glob such as 'photos/**/*.jpg'; a few dozen photographs suffice.
    """
    environment.prepare()
    from flows.cli.commands.weights import normalize as normalize_weights

    store = _store(weights, cache)
    terminal = Terminal(as_json=json)
    return normalize_weights(terminal, store, network, pictures, output, size=size)


@weights_app.command
def show(file: Path, /, *, json: Json = False) -> int:
    """Show what a weight file contains, for which network, and what is wrong with it.

    Args:
        file: weights in any known format.
    """
    from flows.cli.commands.weights import show as show_weights

    return show_weights(Terminal(as_json=json), file)


@app.command
def doctor(*, cache: Cache = None, json: Json = False) -> int:
    """Check versions, devices, server, cache and weights, and say how to fix what is wrong."""
    environment.prepare()
    from flows.cli.commands.doctor import doctor as examine_installation

    return examine_installation(Terminal(as_json=json), cache or user_cache())
