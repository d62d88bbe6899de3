"""The same networks and losses in plain PyTorch: the reference in float64, and the peer in speed.

    python benchmarks/gpu/peer.py FOLDER prepare WORK          targets and reference values
    python benchmarks/gpu/peer.py FOLDER judge WORK RESULTS    losses of pictures, in float64
    python benchmarks/gpu/peer.py FOLDER time WORK RESULTS     seconds and memory of a step

It is written from the formulas alone and shares nothing with `nst_core`, so it also checks it. Each
measurement is one line of JSON.
"""

import argparse
import json
import re
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from inputs import Array, network_in, picture, weights_in
from torch.nn import functional

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Network:
    """A network, with the layers that have targets.

    Args:
        folder: the exported folder.
        name: the name of the network there.
        numbers: the type of its activations.
        layout: the order of the activations in memory.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        numbers: torch.dtype,
        layout: torch.memory_format = torch.contiguous_format,
    ) -> None:
        about = network_in(folder, name)
        self.layers, self.preprocessing = about["layers"], about["preprocessing"]
        self.content, self.style = about["content"], about["style"]
        self.terms = about["terms"]
        self.numbers, self.layout = numbers, layout
        self.weights = {}
        for key, array in weights_in(folder, name).items():
            tensor = torch.from_numpy(array).to(DEVICE, numbers)
            if array.ndim == 4:
                tensor = tensor.permute(3, 2, 0, 1).contiguous(memory_format=layout)
            self.weights[key] = tensor

    def activations(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return activations (batch, channels, height, width) of (batch, height, width, 3)."""
        about = self.preprocessing
        ordered = pixels.flip(-1) if about["order"] == "BGR" else pixels
        means = torch.tensor(about["means"], device=DEVICE, dtype=pixels.dtype)
        current = (ordered * about["scale"] - means).permute(0, 3, 1, 2)
        current = current.to(self.numbers).contiguous(memory_format=self.layout)
        found = {}
        for layer in self.layers:
            current = self._layer(layer, current)
            if layer["name"] in self.content or layer["name"] in self.style:
                found[layer["name"]] = current.to(pixels.dtype)
        return found

    def _layer(self, layer: Mapping[str, Any], current: torch.Tensor) -> torch.Tensor:
        if layer["kind"] == "relu":
            return functional.relu(current)
        if layer["kind"] == "pool":
            pool = functional.max_pool2d if layer["pool"] == "max" else functional.avg_pool2d
            pooled: torch.Tensor = pool(current, 2)
            return pooled
        weight = self.weights[f"{layer['name']}.weight"]
        bias = self.weights[f"{layer['name']}.bias"]
        if layer["mirrored"]:
            edge = weight.shape[-1] // 2
            current = functional.pad(current, (edge,) * 4, mode="reflect")
            return functional.conv2d(current, weight, bias)
        return functional.conv2d(current, weight, bias, padding=weight.shape[-1] // 2)


def gram(features: torch.Tensor, center: torch.Tensor) -> torch.Tensor:
    """Return centered Gram matrices (batch, channels, channels), divided by the positions."""
    rows = features.flatten(2) - center[:, None]
    return rows @ rows.transpose(1, 2) / rows.shape[2]


def targets_of(network: Network, content: Array, style: Array) -> dict[str, Array]:
    """Return the targets of a photograph and a style, as the programs name them."""
    with torch.no_grad():
        of_content = network.activations(tensor(content, network.numbers)[None])
        of_style = network.activations(tensor(style, network.numbers)[None])
    found = {}
    for layer in network.content:
        found[f"content/{layer}"] = array(of_content[layer][0].permute(1, 2, 0))
    for layer in network.style:
        center = of_style[layer].mean(dim=(0, 2, 3))
        found[f"centers/{layer}"] = array(center)
        found[f"grams/{layer}"] = array(gram(of_style[layer], center)[0])
    return found


def totals(
    network: Network, pixels: torch.Tensor, targets: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Return the total loss of each picture, (batch,)."""
    features = network.activations(pixels)

    def relative(value: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        squared = (value - target).square().flatten(1).sum(1)
        return squared / target.square().sum()

    content = sum(
        weight * relative(features[layer].permute(0, 2, 3, 1), targets[f"content/{layer}"])
        for layer, weight in network.content.items()
    )
    style = sum(
        weight
        * relative(gram(features[layer], targets[f"centers/{layer}"]), targets[f"grams/{layer}"])
        for layer, weight in network.style.items()
    )
    across, down = pixels[:, :, 1:] - pixels[:, :, :-1], pixels[:, 1:] - pixels[:, :-1]
    variation = across.square().mean(dim=(1, 2, 3)) + down.square().mean(dim=(1, 2, 3))
    terms = network.terms
    total: torch.Tensor = (
        terms["content"] * content + terms["style"] * style + terms["tv"] * variation
    )
    return total


def value_and_gradient(
    network: Network, pixels: torch.Tensor, targets: Mapping[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the total of each picture, and the gradient in the form of the pixels."""
    pixels = pixels.detach().requires_grad_()
    total = totals(network, pixels, targets)
    (gradient,) = torch.autograd.grad(total.sum(), pixels)
    return total.detach(), gradient


def tensor(values: Array, numbers: torch.dtype) -> torch.Tensor:
    """Return an array on the device."""
    return torch.from_numpy(np.asarray(values)).to(DEVICE, numbers)


def array(values: torch.Tensor) -> Array:
    """Return a tensor on the host, float32."""
    found: Array = values.to("cpu", torch.float32).numpy()
    return found


def prepare(folder: Path, work: Path, only: str) -> None:
    """Write targets of every network and size, and float64 references of small sizes."""
    listed = json.loads((folder / "programs.json").read_text())
    wanted = [one for one in listed["programs"] if re.search(only, one["name"])]
    sizes = sorted({(one["network"], one["side"]) for one in wanted}, key=lambda x: x[1])
    full = 512 if DEVICE == "cuda" else 64
    for name, side in sizes:
        for number, (content, style) in enumerate(listed["pairs"]):
            if number and (name, side) != ("compact", descent_side(listed)):
                continue
            exact = side <= full
            network = Network(folder, name, torch.float64 if exact else torch.float32)
            photo = picture(folder, content, side)
            targets = targets_of(network, photo, picture(folder, style, side))
            if exact:
                start = np.roll(photo, 3, axis=1)
                given = {key: tensor(value, torch.float64) for key, value in targets.items()}
                value, gradient = value_and_gradient(
                    network, tensor(start, torch.float64)[None], given
                )
                targets["reference/value"] = array(value)[0]
                targets["reference/gradient"] = array(gradient)[0]
            np.savez(work / f"{name}-{side}-{number}.npz", **targets)


def judge(folder: Path, work: Path, results: Path) -> None:
    """Append the float64 total of each picture that a descent led to."""
    for path in sorted(work.glob("result-descent-*.npy")):
        _, _, name, side, _, _, precision, run = path.stem.split("-")
        number = run.removesuffix("perturbed")
        if int(side) > 512:
            continue
        network = Network(folder, name, torch.float64)
        with np.load(work / f"{name}-{side}-{number}.npz") as stored:
            targets = {key: tensor(stored[key], torch.float64) for key in stored}
        with torch.no_grad():
            total = totals(network, tensor(np.load(path), torch.float64)[None], targets)
        about = {"network": name, "side": int(side), "precision": precision}
        line = {"by": "float64", **about, "run": run, "total": float(total[0])}
        with results.open("a") as file:
            print(json.dumps(line), file=file)
        print(line, flush=True)


def descent_side(listed: Mapping[str, Any]) -> int:
    """Return the size at which whole optimizations are compared."""
    return min(one["side"] for one in listed["programs"] if one["kind"] == "descent")


def allow_tensor_float(allowed: bool) -> None:
    """Allow float32 products with 10 bits of mantissa (TF32), or forbid it, from now on."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def seconds_of(run: Callable[[], Any], runs: int) -> list[float]:
    """Return how long each of some calls takes, until the device is idle again."""
    for _ in range(3):
        run()
    found = []
    for _ in range(runs):
        synchronize()
        began = time.perf_counter()
        run()
        synchronize()
        found.append(time.perf_counter() - began)
    return found


def synchronize() -> None:
    """Wait until the device is idle."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def measured(
    folder: Path, work: Path, name: str, side: int, batch: int, precision: str, how: str
) -> dict[str, Any]:
    """Return one measurement of a step."""
    numbers = torch.bfloat16 if precision == "bfloat16" else torch.float32
    layout = torch.contiguous_format if how == "contiguous" else torch.channels_last
    network = Network(folder, name, numbers, layout)
    with np.load(work / f"{name}-{side}-0.npz") as stored:
        targets = {key: tensor(stored[key], torch.float32) for key in stored}
    start = np.roll(picture(folder, "astronaut", side), 3, axis=1)
    pixels = tensor(np.repeat(start[None], batch, axis=0), torch.float32)

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        return value_and_gradient(network, pixels, targets)

    call: Callable[[], tuple[torch.Tensor, torch.Tensor]] = run
    if how == "compiled":
        total = torch.compile(totals, dynamic=False)

        def compiled() -> tuple[torch.Tensor, torch.Tensor]:
            free = pixels.detach().requires_grad_()
            value = total(network, free, targets)
            (gradient,) = torch.autograd.grad(value.sum(), free)
            return value.detach(), gradient

        call = compiled
    allow_tensor_float(precision == "tf32")
    began = time.perf_counter()
    value, gradient = call()
    synchronize()
    first = time.perf_counter() - began
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = seconds_of(call, 20)
    peak = torch.cuda.max_memory_allocated() if DEVICE == "cuda" else None
    result = {"first_s": first, "median_s": statistics.median(seconds), "peak_bytes": peak}
    if "reference/gradient" in targets:
        reference = targets["reference/gradient"]
        difference = (gradient[0] - reference).norm() / reference.norm()
        result["gradient_error"] = float(difference)
        known = targets["reference/value"]
        result["value_error"] = float(abs(value[0] - known) / known)
    return result


def time_all(folder: Path, work: Path, results: Path, seconds: float) -> None:
    """Append a measurement of each step, until the time is up."""
    listed = json.loads((folder / "programs.json").read_text())["programs"]
    started = time.perf_counter()
    steps = [one for one in listed if one["kind"] == "step" and one["variant"] == "plain"]
    plain = [(one, how) for one in steps for how in ("contiguous", "channels last")]
    compiled = [
        (one, "compiled")
        for one in steps
        if one["batch"] == 1 and one["precision"] != "float32" and one["side"] <= 1024
    ]
    for one, how in plain + compiled:
        if time.perf_counter() - started > seconds:
            break
        about = {key: one[key] for key in ("network", "side", "batch", "precision")}
        try:
            found = measured(
                *(folder, work, one["network"], one["side"], one["batch"]),
                *(one["precision"], how),
            )
        except Exception as error:  # noqa: BLE001 - one that fails must not end the others
            found = {"error": f"{type(error).__name__}: {error}"[:300]}
        if DEVICE == "cuda":
            torch.cuda.empty_cache()
        line = {"by": f"PyTorch, {how}", **about, **found}
        with results.open("a") as file:
            print(json.dumps(line), file=file)
        print(line, flush=True)


def main() -> None:
    """Prepare or measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("what", choices=["prepare", "time", "judge"])
    parser.add_argument("work", type=Path)
    parser.add_argument("results", type=Path, nargs="?")
    parser.add_argument("--only", default="", help="a regular expression for names")
    parser.add_argument("--seconds", type=float, default=200)
    options = parser.parse_args()
    options.work.mkdir(exist_ok=True)
    if options.what == "prepare":
        allow_tensor_float(False)
        prepare(options.folder, options.work, options.only)
    elif options.what == "judge":
        judge(options.folder, options.work, options.results)
    else:
        time_all(options.folder, options.work, options.results, options.seconds)


if __name__ == "__main__":
    main()
