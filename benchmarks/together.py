"""Compare rows that take their steps as one batch with the same rows one after the other.

    python benchmarks/together.py [--sizes 64 128] [--rows 1 4 8] [--rounds 8] [--at-once]

Both ways take turns with ten steps of the same rows, in one process. The table shows the rows an
hour of the preset `draft` that the median turn allows (its steps alone, without anything else), the
median of the ratios of turns, and the seconds of all cores in the shortest turn of each way. On a
machine that does something else, only the last two columns mean much. With --at-once, batches are
computed as on a GPU, whatever the device is.
"""

import argparse
import time
from dataclasses import replace
from itertools import product
from statistics import median
from typing import Any

from nst_core.images.levels import from_levels
from nst_core.images.resize import resize
from nst_core.networks.loading import load_encoder
from nst_core.quiet_tensorflow import tf
from nst_core.samples.photographs import PHOTOGRAPHS, photograph
from nst_core.transfer.any_size import AnySize
from nst_core.transfer.optimization.compiled import Compiled, _Functions
from nst_core.transfer.optimization.optimization import OctaveTask
from nst_core.transfer.optimizers.learning_rate import step_size
from nst_core.transfer.presets import PRESETS
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import style_targets

STEPS = 10
"""Steps in a turn, as between two reports of a row."""

Turn = tuple[float, float]
"""Seconds of the clock, and of all cores."""


class Rows:
    """Rows of one size in the state after a few steps, from which every turn starts."""

    def __init__(self, settings: Settings, count: int, *, at_once: bool) -> None:
        names = [*PHOTOGRAPHS]
        encoder = load_encoder(settings.encoder)
        side = int(settings.size)
        size = tf.constant(step_size(settings, 0, 0))
        self.tasks, self.states = [], []
        for index in range(count):
            content = resize(from_levels(photograph(names[index % len(names)])), side, side)
            style = photograph(names[(index + 1) % len(names)])
            targets = style_targets(encoder, style, settings)
            task = OctaveTask.prepare(encoder, content, targets, settings, 0, (side, side))
            begun = task.compiled.start(tf.constant(content), task.targets, task.weights, size)
            self.tasks.append(task)
            self.states.append(self._advanced(task, begun))
        self.compiled = self.tasks[0].compiled
        if at_once:
            self.compiled = _at_once(encoder, self.compiled, settings)

    def one_by_one(self) -> Turn:
        """Take the steps of one row after the other."""
        began = time.perf_counter(), time.process_time()
        for task, state in zip(self.tasks, self.states, strict=True):
            self._advanced(task, state)
        return _since(began)

    def together(self) -> Turn:
        """Take the steps of all rows as one batch, from their own states."""
        began = time.perf_counter(), time.process_time()
        rows = [
            (state, task.targets, task.weights, tf.constant(STEPS))
            for task, state in zip(self.tasks, self.states, strict=True)
        ]
        stacked = tf.nest.map_structure(lambda *tensors: tf.stack(tensors), *rows)
        assert self.compiled.advance_rows  # compiled without rematerialization
        _ = float(tf.reduce_sum(self.compiled.advance_rows(*stacked).best.value))
        return _since(began)

    def _advanced(self, task: OctaveTask, state: Any) -> Any:
        after = task.compiled.advance(state, task.targets, task.weights, tf.constant(STEPS))
        _ = float(after.best.value)
        return after


def _at_once(encoder: Any, compiled: Compiled, settings: Settings) -> Compiled:
    functions = _Functions(
        *(encoder, compiled.optimizer, settings.normalization, settings.tv_kind), at_once=True
    )
    return replace(compiled, advance_rows=AnySize.of(functions.advance_rows, of_rows=True))


def _since(began: Turn) -> Turn:
    return time.perf_counter() - began[0], time.process_time() - began[1]


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--at-once", action="store_true")
    options = parser.parse_args()
    print(
        "| px | optimizer | rows | an hour: alone | together | ratio | cores alone, s | together |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for side, optimizer, count in product(options.sizes, ("lbfgs", "adam"), options.rows):
        draft = PRESETS["draft"].model_copy(update={"size": side, "optimizer": optimizer})
        rows = Rows(draft.model_copy(update={"octaves": 1}), count, at_once=options.at_once)
        rows.together()
        turns = [(rows.one_by_one(), rows.together()) for _ in range(options.rounds)]
        alone, both = zip(*turns, strict=True)
        hours = draft.steps / STEPS / 3600
        per_hour = [count / (median(clock for clock, _ in way) * hours) for way in (alone, both)]
        ratio = median(mine[0] / its[0] for mine, its in turns)
        cores = [min(cores for _, cores in way) for way in (alone, both)]
        print(
            f"| {side} | {optimizer} | {count} | {per_hour[0]:.0f} | {per_hour[1]:.0f} "
            f"| {ratio:.2f} | {cores[0]:.2f} | {cores[1]:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
