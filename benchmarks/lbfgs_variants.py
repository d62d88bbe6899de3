"""Count the evaluations that variants of L-BFGS need: longer memories, metrics, and other starts.

    python benchmarks/lbfgs_variants.py [--size 256] [--evaluations 121] [--pairs "cat swirls"]

The variants are written in NumPy and float64, with loss and gradient from the program, so that one
can be tried without touching the program. `memory 10` is the program's own algorithm (bounds, line
search and all). Only evaluations at the full size are counted.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nst_core.images.resize import resize
from nst_core.networks.loading import load_encoder
from nst_core.quiet_tensorflow import tf
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph
from nst_core.transfer.losses.losses import loss_terms
from nst_core.transfer.octaves import octave_shapes, shape_of_result
from nst_core.transfer.optimization.optimization import OctaveTask
from nst_core.transfer.pictures.start import Pictures, beginning
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import style_targets

Array = NDArray[np.float64]
Objective = Callable[[Array], tuple[float, Array]]
Metric = Callable[[Array], Array]

COUNTS = (31, 51, 91, 121, 151, 200, 300)
OCTAVES = 3


@dataclass(frozen=True)
class Variant:
    """What to try.

    Attributes:
        memory: how many moves are remembered.
        metric: the power of the spectrum by which gradients are divided first; 0 for none.
        coarse: steps at each coarser octave; 0 for a single octave.
        detail: the share of the content's own detail that is added to what a coarser octave yields.
    """

    memory: int = 10
    metric: float = 0.0
    coarse: int = 0
    detail: float = 0.0


VARIANTS = {
    "memory 10": Variant(),
    "memory 30": Variant(memory=30),
    "memory 50": Variant(memory=50),
    "memory 10, spectrum": Variant(metric=1),
    "memory 10, root of the spectrum": Variant(metric=0.5),
    "memory 30, root of the spectrum": Variant(memory=30, metric=0.5),
    "octaves of 60": Variant(coarse=60),
    "octaves of 60, memory 30": Variant(memory=30, coarse=60),
    "octaves of 60, memory 30, detail": Variant(memory=30, coarse=60, detail=1),
    "octaves of 20, memory 30, detail": Variant(memory=30, coarse=20, detail=1),
}


@dataclass
class Moves:
    """The moves that L-BFGS remembers, and the curvature of its first metric."""

    memory: int
    metric: Metric
    moves: list[Array] = field(default_factory=list)
    changes: list[Array] = field(default_factory=list)

    def add(self, move: Array, change: Array) -> None:
        """Remember a move and how it changed the gradient, if the objective is convex along it."""
        if np.vdot(move, change) > 1e-8 * np.linalg.norm(move) * np.linalg.norm(change):
            self.moves = [*self.moves, move][-self.memory :]
            self.changes = [*self.changes, change][-self.memory :]

    def descent(self, gradient: Array) -> Array:
        """Return the direction of algorithm 7.4 of Nocedal & Wright 2006."""
        pairs = list(zip(self.moves, self.changes, strict=True))
        rest, shares = gradient.copy(), []
        for move, change in reversed(pairs):
            shares.append(np.vdot(move, rest) / np.vdot(move, change))
            rest = rest - shares[-1] * change
        product = self.metric(rest)
        if pairs:
            move, change = pairs[-1]
            product *= np.vdot(move, change) / np.vdot(change, self.metric(change))
        else:
            product *= 0.05 / np.abs(product).max()
        for (move, change), share in zip(pairs, reversed(shares), strict=True):
            product += move * (share - np.vdot(change, product) / np.vdot(move, change))
        return -product


def lbfgs(objective: Objective, point: Array, most: int, moves: Moves) -> tuple[Array, list[float]]:
    """Return the best point after so many evaluations, and the lowest value after each."""
    value, gradient = objective(point)
    curve = [value]
    while len(curve) < most:
        active = ((point <= 0) & (gradient > 0)) | ((point >= 1) & (gradient < 0))
        free = np.where(active, 0, gradient)
        direction = np.where(active, 0, moves.descent(free))
        found = _searched(objective, (point, value, gradient), direction, curve, most)
        if found is None:
            if not moves.moves:
                break
            moves.moves, moves.changes = [], []
            continue
        moves.add(found[0] - point, found[2] - gradient)
        point, value, gradient = found
    return point, curve


def _searched(
    objective: Objective,
    start: tuple[Array, float, Array],
    direction: Array,
    curve: list[float],
    most: int,
) -> tuple[Array, float, Array] | None:
    """Return a point by bisection on the weak Wolfe conditions, as the program does."""
    point, value, gradient = start
    length, shortest, longest = 1.0, 0.0, np.inf
    best = None
    for _ in range(20):
        if len(curve) >= most:
            break
        aim = point + length * direction
        reached = np.clip(aim, 0, 1)
        found, slope = objective(reached)
        curve.append(min(curve[-1], found))
        promised = np.vdot(gradient, reached - point)
        is_lower = bool(promised < 0 and found <= value + 1e-4 * promised)
        inside = np.where((aim >= 0) & (aim <= 1), direction, 0)
        if is_lower:
            best, shortest = (reached, found, slope), length
            if np.vdot(slope, inside) >= 0.9 * np.vdot(gradient, direction):
                break
        else:
            longest = length
        length = (shortest + longest) / 2 if np.isfinite(longest) else 2 * shortest
    return best


def spectrum(objective: Objective, point: Array, power: float) -> Metric:
    """Return a metric from how white noise changes the gradient, by frequency and color.

    Each band of frequencies (three an octave) has a 3 x 3 matrix of curvatures, whose eigenvalues
    are taken to the given power. It costs three evaluations, which are not counted.
    """
    height, width = point.shape[:2]
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    lowest = 1 / max(height, width)
    band = 1 + (3 * np.log2(np.maximum(radius, lowest) / lowest)).astype(int)
    band[0, 0] = 0
    sums, norms = np.zeros((band.max() + 1, 3, 3)), np.zeros(band.max() + 1)
    draw, (_, gradient) = np.random.default_rng(0), objective(point)
    for _ in range(2):
        noise = 0.01 * draw.standard_normal(point.shape)
        change = np.fft.rfft2(objective(point + noise)[1] - gradient, axes=(0, 1))
        moved = np.fft.rfft2(noise, axes=(0, 1))
        np.add.at(sums, band, np.real(change[..., :, None] * moved.conj()[..., None, :]))
        np.add.at(norms, band, np.square(np.abs(moved)).sum(-1) / 3)
    curvature = sums / np.maximum(norms, 1e-30)[:, None, None]
    values, vectors = np.linalg.eigh((curvature + curvature.transpose(0, 2, 1)) / 2)
    values = np.maximum(np.abs(values), 1e-3 * np.abs(values).max())
    inverse = (vectors * values[:, None, :] ** -power) @ vectors.transpose(0, 2, 1)

    def metric(gradient: Array) -> Array:
        transformed = np.fft.rfft2(gradient, axes=(0, 1))
        product = np.einsum("hwcd,hwd->hwc", inverse[band], transformed)
        return np.fft.irfft2(product, s=(height, width), axes=(0, 1))

    return metric


@dataclass(frozen=True)
class Problem:
    """The objective of a pair at each octave, and the picture to start from."""

    objectives: dict[tuple[int, int], Objective]
    start: NDArray[np.float32]

    @classmethod
    def of(cls, content: str, style: str, size: int) -> "Problem":
        """Return the problem of a photograph and a painted style, with the default settings."""
        settings = Settings(size=size, octaves=OCTAVES)
        encoder = load_encoder(settings.encoder)
        painted = PAINTINGS[style](512, 1).astype(np.float32) / np.float32(255)
        targets = style_targets(encoder, painted, settings)
        given = Pictures.of(photograph(content), painted, None, None)
        shape = shape_of_result(encoder.topology, given.content.shape[:2], settings)
        prepared, start, _ = beginning(encoder, given, targets, settings, shape, 0, None)
        objectives = {
            of_octave: _objective(
                OctaveTask.prepare(encoder, prepared, targets, settings, octave, of_octave), encoder
            )
            for octave, of_octave in octave_shapes(*shape, OCTAVES).items()
        }
        return cls(objectives, start)

    def curve(self, variant: Variant, evaluations: int) -> list[float]:
        """Return the lowest loss after each evaluation at the full size."""
        shapes = [*self.objectives][0 if variant.coarse else -1 :]
        picture: Array | None = None
        before: Any = None
        curve: list[float] = []
        for shape in shapes:
            own = resize(self.start, *shape)
            begin = own if picture is None else self._continued(picture, own, before, variant)
            objective = self.objectives[shape]
            point = begin.astype(np.float64)
            metric = spectrum(objective, point, variant.metric) if variant.metric else np.copy
            most = evaluations if shape == shapes[-1] else variant.coarse + 1
            picture, curve = lbfgs(objective, point, most, Moves(variant.memory, metric))
            before = own
        return curve

    def _continued(self, picture: Array, own: Any, before: Any, variant: Variant) -> Any:
        """Return a coarser octave's picture at the size of the next, with the start's detail."""
        shape = own.shape[:2]
        detail = own - resize(before, *shape)
        return np.clip(resize(picture, *shape) + variant.detail * detail, 0, 1)


def _objective(task: OctaveTask, encoder: Any) -> Objective:
    targets: Any = task.targets

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def value_and_gradient(pixels: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            total = loss_terms(
                *(encoder, task.settings.normalization, pixels, targets, task.weights),
                tv_kind=task.settings.tv_kind,
                rematerialize=False,
            ).total
        return total, tape.gradient(total, pixels)

    def objective(point: Array) -> tuple[float, Array]:
        value, gradient = value_and_gradient(tf.constant(point, tf.float32))
        return float(value), gradient.numpy().astype(np.float64)

    return objective


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--evaluations", type=int, default=121)
    parser.add_argument("--pairs", nargs="+", default=["cat swirls", "coffee stained_glass"])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=[*VARIANTS])
    options = parser.parse_args()
    counts = [count for count in COUNTS if count <= options.evaluations]
    print("| pair | variant |" + "".join(f" {count} |" for count in counts))
    print("|---|---|" + "---|" * len(counts), flush=True)
    for pair in options.pairs:
        content, style = pair.split()
        problem = Problem.of(content, style, options.size)
        for name in options.variants:
            curve = problem.curve(VARIANTS[name], options.evaluations)
            shown = "".join(f" {curve[min(count, len(curve)) - 1]:.5f} |" for count in counts)
            print(f"| {pair.replace(' ', ' x ')} | {name} |{shown}", flush=True)


if __name__ == "__main__":
    main()
