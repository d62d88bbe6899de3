"""Record how the loss of one pair falls with the evaluations, in a process of its own.

    python -m benchmarks.bench.loss CONTENT STYLE METHOD SIDE [--evaluations 300]

METHOD is `lbfgs` (L-BFGS at one size), `standard` (the preset, coarse to fine) or `adam` (at one
size, with a learning rate of 0.02); all of them start from the content. An evaluation at a coarser
size counts as its share of the pixels, and losses count at full size only. The counts depend on no
machine's speed.
"""

import argparse
import json

import numpy as np

from nst_core.networks.loading import load_encoder
from nst_core.samples.paintings import PAINTINGS
from nst_core.samples.photographs import photograph
from nst_core.transfer.presets import PRESETS
from nst_core.transfer.settings import Settings
from nst_core.transfer.styles.statistics import style_targets
from nst_core.transfer.stylize import iterates

Curve = list[tuple[float, float]]
"""Evaluations, in those of full size, and the lowest total loss so far."""


def settings_of(method: str, side: int, evaluations: int) -> Settings:
    """Return the settings of a method."""
    chosen: dict[str, object] = {"size": side}
    if method != "standard":
        chosen |= {"octaves": 1, "tolerance": 0, "steps": evaluations}
    if method == "adam":
        chosen |= {"optimizer": "adam", "learning_rate": 0.02}
    return PRESETS["standard"].model_copy(update=chosen)


def curve(content_name: str, style_name: str, settings: Settings, evaluations: int) -> Curve:
    """Return the losses at full size, until there were more than so many evaluations."""
    content = photograph(content_name).astype(np.float32) / np.float32(255)
    style = PAINTINGS[style_name](settings.size, 1).astype(np.float32) / np.float32(255)
    encoder = load_encoder(settings.encoder)
    targets = style_targets(encoder, style, settings)
    found: Curve = []
    spent, before = 0.0, 0
    for iterate in iterates(encoder, content, targets, settings, seed=0):
        share = (max(iterate.pixels.shape) / settings.size) ** 2
        spent += (iterate.evaluations - before) * share
        before = iterate.evaluations
        if spent > evaluations + 1:
            break
        if iterate.octave == iterate.octaves:
            found.append((round(spent, 2), iterate.losses.total))
    return found


def main() -> None:
    """Print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("content")
    parser.add_argument("style")
    parser.add_argument("method", choices=["lbfgs", "standard", "adam"])
    parser.add_argument("side", type=int)
    parser.add_argument("--evaluations", type=int, default=300)
    options = parser.parse_args()
    settings = settings_of(options.method, options.side, options.evaluations)
    found = curve(options.content, options.style, settings, options.evaluations)
    print(json.dumps({"curve": found}))


if __name__ == "__main__":
    main()
