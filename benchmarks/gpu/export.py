"""Export the compiled step as StableHLO, for a GPU machine that has no TensorFlow.

    python benchmarks/gpu/export.py FOLDER [--quick]

FOLDER then has everything that `measure.py` needs: a text for each program, the weights of the
compact encoder, pictures, and what this machine's CPU computes from them. Take FOLDER and
`benchmarks/gpu` to the machine. With `--quick`, all sizes are divided by 8, to try the scripts.
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from inputs import Array, Program, picture, random_weights

from nst_core.images.resize import resize
from nst_core.networks.encoder import Encoder
from nst_core.networks.forward import apply_layer, current_device, preprocessed, weights_on
from nst_core.networks.loading import load_encoder
from nst_core.networks.topology import Convolution, Pool
from nst_core.networks.vgg import plain
from nst_core.quiet_tensorflow import tf
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph
from nst_core.transfer.losses.loss_weights import loss_weights
from nst_core.transfer.losses.losses import Targets, loss_terms
from nst_core.transfer.optimizers.descent import Evaluation
from nst_core.transfer.optimizers.lbfgs import Lbfgs
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import content_targets, octave_targets, style_targets

SIDE = 512
PAIRS = (("astronaut", "swirls"), ("cat", "woodcut"), ("coffee", "stained_glass"))
STEPS, DESCENT = "step", "descent"

# Each line is a kind, a network, sides, batches, precisions and a variant. They run in this order,
# until the time is up.
WANTED = (
    (STEPS, "compact", (512, 1024, 2048), (1,), ("float32", "tf32", "bfloat16"), "plain"),
    (DESCENT, "compact", (512,), (1,), ("float32", "tf32", "bfloat16"), "plain"),
    (STEPS, "vgg19", (512, 1024, 2048), (1,), ("float32", "tf32", "bfloat16"), "plain"),
    (STEPS, "compact", (512,), (4, 16), ("float32", "tf32", "bfloat16"), "plain"),
    (STEPS, "compact", (256,), (1, 4, 16), ("float32", "tf32"), "plain"),
    (STEPS, "compact", (2048,), (1,), ("float32",), "rematerialized"),
    (STEPS, "compact", (4096,), (1,), ("float32", "bfloat16"), "plain"),
    (STEPS, "compact", (4096,), (1,), ("float32",), "rematerialized"),
    (STEPS, "vgg19", (512,), (4, 16), ("tf32",), "plain"),
    (STEPS, "vgg19", (4096,), (1,), ("bfloat16",), "plain"),
    (DESCENT, "compact", (1024,), (1,), ("tf32",), "plain"),
    (DESCENT, "vgg19", (512,), (1,), ("tf32",), "plain"),
)


@cache
def settings_of(network: str) -> Settings:
    """Return the default settings with the default layers of a network."""
    if network == "compact":
        return Settings()
    layers = plain(network)
    return Settings(content_layers=layers.content_layers, style_layers=layers.style_layers)


@cache
def encoder_of(network: str, precision: str) -> Encoder:
    """Return a network; VGG-19 with random weights."""
    if network == "compact":
        encoder = load_encoder("compact")
    else:
        topology = plain(network).topology
        shapes = {name: [*shape] for name, shape in topology.weight_shapes.items()}
        encoder = Encoder(topology, random_weights(shapes))
    return replace(encoder, precision="bfloat16") if precision == "bfloat16" else encoder


def described(network: str) -> dict[str, Any]:
    """Return what `peer.py` needs to know to build the network by itself."""
    topology, settings = encoder_of(network, "float32").topology, settings_of(network)
    last = max(
        map(
            topology.layer_names.index,
            (*settings.content_layer_weights, *settings.style_layer_weights),
        )
    )
    layers = []
    for layer in topology.layers[: last + 1]:
        kind = type(layer).__name__.lower()
        about = {"mirrored": layer.edges == "mirrored"} if isinstance(layer, Convolution) else {}
        if isinstance(layer, Pool):
            about = {"pool": layer.kind}
        layers.append({"kind": kind, "name": layer.name, **about})
    return {
        "layers": layers,
        "shapes": {name: [*shape] for name, shape in topology.weight_shapes.items()},
        "preprocessing": asdict(topology.preprocessing),
        "content": settings.content_layer_weights,
        "style": settings.style_layer_weights,
        "terms": {
            "content": settings.content_weight,
            "style": settings.style_weight,
            "tv": settings.tv_weight,
        },
    }


def targets_of(network: str, side: int, batch: int) -> Targets:
    """Return targets of the right shapes; `measure.py` fills in the values."""
    topology, settings = encoder_of(network, "float32").topology, settings_of(network)
    content, style = settings.content_layer_weights, settings.style_layer_weights
    several = (batch,) if batch > 1 else ()
    shapes = topology.shapes(side, side, content)
    return Targets(
        content={
            layer: tf.zeros((*several, *shapes[layer], topology.channels(layer)))
            for layer in content
        },
        grams={layer: tf.zeros([topology.channels(layer)] * 2) for layer in style},
        centers={layer: tf.zeros([topology.channels(layer)]) for layer in style},
    )


def totals_of_all(encoder: Encoder, pixels: Any, targets: Targets, weights: Any) -> Any:
    """Return the total loss of each of several pictures of one shape, (batch,).

    It is that of `loss_terms` with the convention `relative`, with one multiplication for the Gram
    matrices of all pictures at a layer.
    """
    taps = {*targets.content, *targets.centers}
    current, found = preprocessed(encoder, pixels)[0], {}
    for layer in encoder.topology.up_to(taps):
        current = apply_layer(layer, encoder, current)
        if layer.name in taps:
            found[layer.name] = tf.cast(current, pixels.dtype)

    def relative(value: Any, target: Any) -> Any:
        axes = range(1 - value.shape.rank, 0)
        squared = tf.reduce_sum(tf.square(value - target), axes)
        return squared / tf.reduce_sum(tf.square(target), axes)

    def gram(layer: str) -> Any:
        features = found[layer] - targets.centers[layer]
        count = features.shape[1] * features.shape[2]
        rows = tf.reshape(features, [features.shape[0], count, features.shape[3]])
        return tf.matmul(rows, rows, transpose_a=True) / count

    def variation(differences: Any) -> Any:
        return tf.reduce_mean(tf.square(differences), (1, 2, 3))

    content, style = weights.content_layers, weights.style_layers
    across, down = pixels[:, :, 1:] - pixels[:, :, :-1], pixels[:, 1:] - pixels[:, :-1]
    terms = {
        "content": sum(content[k] * relative(found[k], t) for k, t in targets.content.items()),
        "style": sum(style[k] * relative(gram(k), t) for k, t in targets.grams.items()),
        "tv": variation(across) + variation(down),
    }
    return sum(weights.terms[name] * term for name, term in terms.items())


def functions(network: str, precision: str, variant: str) -> tuple[Any, Any]:
    """Return the two functions that are exported: one evaluation, and a descent."""
    encoder, settings = encoder_of(network, precision), settings_of(network)

    def evaluate(pixels: Any, targets: Targets, weights: Any) -> Evaluation:
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            terms = loss_terms(
                *(encoder, settings.normalization, pixels, targets, weights),
                rematerialize=variant == "rematerialized",
            )
        return Evaluation(terms.total, tape.gradient(terms.total, pixels), terms)

    def step(pixels: Any, targets: Targets, weights: Any) -> Any:
        if pixels.shape.rank == 3:
            return evaluate(pixels, targets, weights)[:2]
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            totals = totals_of_all(encoder, pixels, targets, weights)
            whole = tf.reduce_sum(totals)
        return totals, tape.gradient(whole, pixels)

    def descent(pixels: Any, targets: Targets, weights: Any, steps: Any, step_size: Any) -> Any:
        def objective(point: Any) -> Evaluation:
            return evaluate(point, targets, weights)

        optimizer = Lbfgs()
        state = optimizer.advance(objective, optimizer.start(objective, pixels, step_size), steps)
        return state.best.value, state.best.point, state.evaluations, state.step

    return step, descent


def paths(structure: Any, name: str = "") -> list[str]:
    """Return the names of the tensors in a structure, in TensorFlow's order."""
    if hasattr(structure, "_asdict"):
        structure = structure._asdict()
        keys = [*structure]
    elif isinstance(structure, dict):
        keys = sorted(structure)
    elif isinstance(structure, tuple):
        return []
    else:
        return [name]
    return [path for key in keys for path in paths(structure[key], f"{name}/{key}".strip("/"))]


def parameter_names(
    arguments: Any, captured: Iterable[Any], network: str, precision: str
) -> list[str]:
    """Return what each parameter of a program is: a part of the arguments, or a weight."""
    _, targets, weights, *others = arguments
    names = ["pixels", *paths(targets), *paths(weights), *("steps", "step_size")[: len(others)]]
    tensors = weights_on(encoder_of(network, precision), current_device())
    known = {id(tensor): name for name, tensor in tensors.items()}
    return [*names, *(known[id(tensor)] for tensor in captured)]


def exported(folder: Path, wanted: tuple[Any, ...], side: int, batch: int) -> list[Program]:
    """Write the texts of one size and batch, and return their programs, one for each precision."""
    kind, network, _, _, precisions, variant = wanted
    programs = []
    for precision in precisions:
        shape = (side, side, 3) if batch == 1 else (batch, side, side, 3)
        weights = loss_weights(settings_of(network))
        given: tuple[Any, ...] = (tf.zeros(shape), targets_of(network, side, batch), weights)
        given = (*given, tf.constant(10), tf.constant(0.05)) if kind == DESCENT else given
        step, descent = functions(network, precision, variant)
        numbers = "bfloat16" if precision == "bfloat16" else "float32"
        name = f"{kind}-{network}-{side}-{batch}-{variant}"
        text = f"{name}-{numbers}.mlir"
        function = tf.function(
            step if kind == STEPS else descent, autograph=False, jit_compile=True
        )
        concrete = function.get_concrete_function(*given)
        if not (folder / text).exists():
            read = function.experimental_get_compiler_ir(*given)
            (folder / text).write_text(read(stage="stablehlo"))
        names = parameter_names(given, concrete.captured_inputs, network, precision)
        values = [float(x) for x in tf.nest.flatten(weights)]
        first = 1 + len(tf.nest.flatten(given[1]))
        constants = dict(zip(names[first : first + len(values)], values, strict=True))
        about = (kind, text, network, side, batch, precision, variant)
        programs.append(Program(f"{name}-{precision}", *about, tuple(names), constants))
    return programs


def expected(folder: Path, program: Program) -> None:
    """Write what TensorFlow's CPU kernels compute for one program, and from what."""
    encoder, settings = encoder_of(program.network, "float32"), settings_of(program.network)
    pixels = picture(folder, PAIRS[0][0], program.side)
    style = picture(folder, PAIRS[0][1], program.side)
    at_side = settings.model_copy(update={"size": program.side, "octaves": 1})
    found = octave_targets(style_targets(encoder, style, at_side), 0, settings.style_layer_weights)
    content = content_targets(encoder, pixels, tuple(settings.content_layer_weights))
    targets = {
        f"{kind}/{layer}": np.asarray(value)
        for kind, by_layer in {"content": content, **found}.items()
        for layer, value in by_layer.items()
    }
    start = np.roll(pixels, 3, axis=1)
    step, _ = functions(program.network, "float32", "plain")
    value, gradient = tf.function(step, autograph=False)(
        tf.constant(start), Targets(content=content, **found), loss_weights(settings)
    )
    np.savez(
        folder / f"expected-{program.network}.npz",
        value=np.asarray(value),
        gradient=np.asarray(gradient),
        start=start,
        **targets,
    )


def write_inputs(folder: Path) -> None:
    """Write the pictures, and the weights of the compact encoder."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, Array] = {}
    for content, style in PAIRS:
        photo = photograph(content).astype(np.float32) / np.float32(255)
        side = min(photo.shape[:2])
        square = resize(photo[:side, :side], SIDE, SIDE)
        pictures[content] = np.rint(square * 255).astype(np.uint8)
        pictures[style] = PAINTINGS[style](SIDE, 1)
    np.savez_compressed(folder / "pictures.npz", **pictures)
    np.savez(folder / "compact.npz", **encoder_of("compact", "float32").weights)


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    folder, part = options.folder, 8 if options.quick else 1
    write_inputs(folder)
    programs: list[Program] = []
    for wanted in WANTED:
        for side in wanted[2]:
            for batch in wanted[3]:
                programs += exported(folder, wanted, side // part, batch)
                print(programs[-1].name, flush=True)
    networks = {network: described(network) for network in ("compact", "vgg19")}
    (folder / "programs.json").write_text(
        json.dumps(
            {
                "networks": networks,
                "pairs": PAIRS,
                "programs": [asdict(program) for program in programs],
            }
        )
    )
    small = 256 // part
    for network in networks:
        (one,) = exported(folder, (STEPS, network, (), (), ("float32",), "plain"), small, 1)
        expected(folder, one)


if __name__ == "__main__":
    main()
