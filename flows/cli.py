"""nst-batch: the command line.

Commands are imported when they run, so that help and `check` load neither Prefect nor TensorFlow.
"""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter, validators
from cyclopts.exceptions import CycloptsError
from pydantic import ValidationError

from flows import environment
from flows.main import end_on_signal, main
from flows.options import (
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
from flows.terminal import Terminal
from nst_core.files import user_cache
from nst_core.places import Place
from tasks.signals import answer_signals

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
    help="Neural style transfer for thousands of pictures: a CSV manifest of content and style "
    "pairs goes in; pictures and a table of losses come out.",
    version=lambda: version("nst-batch"),
    error_formatter=_usage_error,
)
cache_app = App(name="cache", help="Style targets that are kept between runs.")
app.command(cache_app)
weights_app = App(name="weights", help="Weights of the encoders that are not in the package.")
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

    Exit code 0: every row has its picture. 1: some rows failed or are invalid, the others are
    done. 2: the manifest or the command line cannot be used. 3: the batch broke off. 130: Ctrl-C.

    Args:
        manifest: CSV file with the columns content and style; others set a row's output, preset
            or any setting.
        refresh: stylize again what is done already.
        verbose: show what Prefect and TensorFlow have to say.
    """
    # Until the flow runs nothing can be lost.
    answer_signals(end_on_signal)
    environment.prepare(verbose=verbose)
    from flows.commands.run import run as run_batch

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
    cron: Annotated[str, Parameter(help="when, as cron has it")] = "0 1 * * *",
    timezone: Annotated[str, Parameter(help="whose clock the hour is of")] = "UTC",
    name: Annotated[str, Parameter(help="of the deployment")] = "served",
) -> int:
    """Run a manifest every night, as long as this process lives; a server keeps the schedule.

    Needs a server (`prefect server start`, `PREFECT_API_URL`), but no work pool and no worker.

    Exit code 0: it was stopped (Ctrl-C, SIGTERM, SIGHUP). 2: it cannot be served as asked for.

    Args:
        manifest: CSV file, read anew each night.
    """
    environment.prepare(verbose=True)
    from flows.commands.serve import serve as serve_manifest

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
        Parameter(alias="-o", converter=to_place, help="check that this folder can be written"),
    ] = None,
    options: RowOptions = RowOptions(),  # noqa: B008
    json: Json = False,
) -> int:
    """Report every fault of every row of a manifest at once; nothing is run or written.

    Exit code 0: no fault. 1: some rows are at fault. 2: the manifest cannot be used at all.

    Args:
        manifest: CSV file with the columns content and style.
    """
    from flows.commands.check import check as check_manifest

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
    """Say what a run would do: rows new, done and invalid, styles to compute, time and memory.

    Args:
        manifest: CSV file with the columns content and style.
    """
    from flows.commands.plan import plan as plan_manifest

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
        row: its line in the manifest, or its output, such as `anna_night`.
    """
    from flows.commands.plot import plot as plot_losses

    return plot_losses(Terminal(as_json=json), output, row)


@app.command
def animate(
    output: Existing,
    row: str,
    /,
    *,
    format: Annotated[  # noqa: A002 - as users call it
        Literal["webp", "gif"], Parameter(help="webp has all colors; gif plays everywhere")
    ] = "webp",
    size: Annotated[
        int, Parameter(help="longest side, in pixels", validator=validators.Number(gte=16))
    ] = 512,
    seconds: Annotated[
        float,
        Parameter(help="until the result is reached", validator=validators.Number(gt=0, lte=600)),
    ] = 4.0,
    json: Json = False,
) -> int:
    """Make a moving picture of a row's way to its result, kept by `run --save-every`.

    Args:
        output: the output folder of a run.
        row: its line in the manifest, or its output, such as `anna_night`.
    """
    from flows.commands.animate import animate as animate_row

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
            help="folder in which contents and styles are searched for, by what they show",
        ),
    ] = (),
    json: Json = False,
) -> int:
    """Tell how pictures were made, and print the manifest that makes them again.

    In a pipe the manifest comes alone: `nst-batch show results/pictures/*.png > again.csv`.

    Exit code 0: all is found. 1: a content or style is not. 2: a picture says nothing.

    Args:
        picture: the result of a run.
        more: others, each for a row of its own.
    """
    from flows.commands.show import show

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
    """Write a manifest of all pairs of two folders or globs of pictures.

    Args:
        contents: folder, or quoted glob such as 'photos/**/*.jpg'.
        styles: folder, or quoted glob.
        overwrite: replace a file that is there already.
    """
    from flows.commands.pairs import write_pairs

    return write_pairs(Terminal(as_json=json), contents, styles, output, overwrite=overwrite)


@app.command
def demo(folder: Annotated[Place, Parameter(converter=to_place)], /, *, json: Json = False) -> int:
    """Write pictures to try it on, and a manifest of them, into a folder.

    Args:
        folder: made if need be.
    """
    from flows.commands.demo import write_demo

    return write_demo(Terminal(as_json=json), folder)


@app.command
def presets(*, json: Json = False) -> int:
    """Show the presets: which settings each name stands for."""
    from flows.commands.presets import presets as show_presets

    return show_presets(Terminal(as_json=json))


@cache_app.command(name="list")
def list_cache(*, cache: Cache = None, json: Json = False) -> int:
    """List the style targets that are kept, and whether they are whole."""
    from flows.commands.cache import list_styles

    return list_styles(Terminal(as_json=json), cache or user_cache())


@cache_app.command
def prune(
    *,
    cache: Cache = None,
    older_than: Annotated[float, Parameter(help="days since they were last used")] = 90.0,
    dry_run: Annotated[bool, Flag] = False,
    json: Json = False,
) -> int:
    """Remove style targets that are old or damaged; rows that need them compute them again."""
    from flows.commands.cache import prune as prune_cache

    terminal = Terminal(as_json=json)
    return prune_cache(terminal, cache or user_cache(), older_than, dry_run=dry_run)


@weights_app.command(name="list")
def list_weights(*, weights: WeightsPath = None, cache: Cache = None, json: Json = False) -> int:
    """Show every network, whether its weights are here, and what to do if not."""
    from flows.commands.weights import list_weights as show_networks

    return show_networks(Terminal(as_json=json), _store(weights, cache))


@weights_app.command
def fetch(*networks: str, cache: Cache = None, json: Json = False) -> int:
    """Download the published weights of networks into the cache, verified by their checksums.

    Args:
        networks: vgg16, vgg19 or both.
    """
    from flows.commands.weights import fetch as fetch_weights

    return fetch_weights(Terminal(as_json=json), _store(None, cache), networks)


@weights_app.command
def convert(
    file: Path,
    /,
    *,
    output: Annotated[
        Path | None,
        Parameter(alias="-o", help="the file to write [default: in the cache, where runs look]"),
    ] = None,
    from_rgb: Annotated[bool, Flag] = False,
    cache: Cache = None,
    json: Json = False,
) -> int:
    """Write the weights of any known format as safetensors, checked.

    Args:
        file: .h5, .weights.h5, .keras, .npz, .npy or .safetensors of a known network.
        from_rgb: the file's first layer expects RGB; turn it round to the BGR of the network.
    """
    from flows.commands.weights import convert as convert_weights

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
        Parameter(alias="-o", help="the file to write [default: in the cache, where runs look]"),
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
        network: vgg16 or vgg19, whose plain weights must be there.
        pictures: folder, or quoted glob such as 'photos/**/*.jpg'; some dozens of photographs do.
    """
    environment.prepare()
    from flows.commands.weights import normalize as normalize_weights

    store = _store(weights, cache)
    terminal = Terminal(as_json=json)
    return normalize_weights(terminal, store, network, pictures, output, size=size)


@weights_app.command
def show(file: Path, /, *, json: Json = False) -> int:
    """Tell what a weight file holds, for which network, and what is wrong with it.

    Args:
        file: of any format that is known.
    """
    from flows.commands.weights import show as show_weights

    return show_weights(Terminal(as_json=json), file)


@app.command
def doctor(*, cache: Cache = None, json: Json = False) -> int:
    """Look at versions, devices, server, cache and weights: what works, and what to do if not."""
    environment.prepare()
    from flows.commands.doctor import doctor as examine_installation

    return examine_installation(Terminal(as_json=json), cache or user_cache())
