"""`nst-batch weights`: the options of its commands, which are imported when they run."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter, validators

from flows.cli.examples import show_examples
from flows.cli.options import FILE, NUMBER, Cache, Flag, Json, WeightsPath, weight_store
from flows.cli.terminal import Terminal
from flows.process import environment

weights_app = App(
    name="weights", help="Manage the encoder weights that do not come with the package."
)


@weights_app.command(name="list")
def list_weights(*, weights: WeightsPath = None, cache: Cache = None, json: Json = False) -> int:
    """Show every network, whether its weights are on this machine, and how to get them."""
    from flows.cli.commands.weights import list_weights as show_networks

    return show_networks(Terminal(as_json=json), weight_store(weights, cache))


@weights_app.command(usage="Usage: nst-batch weights fetch [OPTIONS] NETWORKS...")
def fetch(*networks: str, cache: Cache = None, json: Json = False) -> int:
    """Download published weights into the cache, and verify their checksums.

    Args:
        networks: vgg16, vgg19 or both
    """
    from flows.cli.commands.weights import fetch as fetch_weights

    return fetch_weights(Terminal(as_json=json), weight_store(None, cache), networks)


@weights_app.command
def convert(
    file: Path,
    /,
    *,
    output: Annotated[
        Path | None,
        Parameter(
            alias="-o",
            help="the file to write [default: in the cache, where runs find it]",
            metavar=FILE,
        ),
    ] = None,
    from_rgb: Annotated[bool, Flag] = False,
    cache: Cache = None,
    json: Json = False,
) -> int:
    """Check weights in any known format, and write them as safetensors.

    Args:
        file: .h5, .weights.h5, .keras, .npz, .npy or .safetensors file of a known network
        from_rgb: the file's first layer expects RGB; convert it to the network's BGR
    """
    from flows.cli.commands.weights import convert as convert_weights

    store = weight_store(None, cache)
    return convert_weights(Terminal(as_json=json), store, file, output, from_rgb=from_rgb)


@weights_app.command
def normalize(
    network: str,
    pictures: str,
    /,
    *,
    output: Annotated[
        Path | None,
        Parameter(
            alias="-o",
            help="the file to write [default: in the cache, where runs find it]",
            metavar=FILE,
        ),
    ] = None,
    size: Annotated[
        int,
        Parameter(
            help="longest side of the pictures",
            metavar=NUMBER,
            validator=validators.Number(gte=64),
        ),
    ] = 512,
    weights: WeightsPath = None,
    cache: Cache = None,
    json: Json = False,
) -> int:
    """Scale each filter to a mean activation of 1 over pictures, as Gatys et al. did with VGG-19.

    Args:
        network: vgg16 or vgg19; its plain weights must be on this machine
        pictures: folder, or quoted glob such as 'photos/**/*.jpg'; a few dozen photographs suffice
    """
    environment.prepare()
    from flows.cli.commands.weights import normalize as normalize_weights

    store = weight_store(weights, cache)
    terminal = Terminal(as_json=json)
    return normalize_weights(terminal, store, network, pictures, output, size=size)


@weights_app.command
def show(file: Path, /, *, json: Json = False) -> int:
    """Show what a weight file contains, which network it fits, and what is wrong with it.

    Args:
        file: weights in any known format
    """
    from flows.cli.commands.weights import show as show_weights

    return show_weights(Terminal(as_json=json), file)


show_examples(weights_app)
