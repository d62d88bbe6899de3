"""Compile and time the exported programs with JAX's client.

    python benchmarks/gpu/programs.py FOLDER WORK RESULTS [--kind step] [--seconds 300]

WORK has the targets that `peer.py prepare` has written. Each measurement is one line of JSON. The
client is JAX's own, not public; it was written for JAX 0.10 and 0.11.
"""

import argparse
import json
import os
import re
import statistics
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import numpy as np
from inputs import Array, Program, arguments, picture, programs_in, weights_in
from jax._src import xla_bridge
from jax._src.interpreters import mlir
from jax._src.lib import xla_client
from jax._src.lib.mlir import ir

DESCENT_STEPS = 300
PERTURBATION = 1e-6
"""How much one of two equal descents starts elsewhere, to see how far apart chance leads them."""


def compiled(program: Program, folder: Path) -> tuple[Any, float]:
    """Return a program for the device, and the seconds that it took."""
    text = (folder / program.text).read_text()
    if program.precision != "tf32":
        # XLA may use TF32 for products of the default precision, and must not for the highest.
        text = re.sub(r"#stablehlo<precision DEFAULT>", "#stablehlo<precision HIGHEST>", text)
    backend = xla_bridge.get_backend()
    began = time.perf_counter()
    with mlir.make_ir_context():
        module = ir.Module.parse(text)
        devices = xla_client.DeviceList((backend.local_devices()[0],))
        executable = backend.compile_and_load(module, devices, xla_client.CompileOptions())
    return executable, time.perf_counter() - began


def results_of(executable: Any, given: list[Any]) -> list[Array]:
    """Return what a program computes, on the host."""
    found = executable.execute_sharded(given).disassemble_into_single_device_arrays()
    return [np.asarray(one[0]) for one in found]


def seconds_of(executable: Any, given: list[Any], runs: int) -> list[float]:
    """Return how long each of some runs takes, without the copy to the host."""
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        outputs = executable.execute_sharded(given).disassemble_into_single_device_arrays()
        for output in outputs:
            output[0].block_until_ready()
        found.append(time.perf_counter() - began)
    return found


def memory_of(executable: Any) -> int | None:
    """Return the bytes that a run takes on the device: arguments, results and all between."""
    stats = executable.get_compiled_memory_stats()
    if stats is None:
        return None
    total: int = max(
        stats.peak_memory_in_bytes,
        stats.argument_size_in_bytes + stats.output_size_in_bytes + stats.temp_size_in_bytes,
    )
    return total


def relative_error(found: Array, expected: Array) -> float:
    """Return the norm of the difference by the norm of what is expected."""
    expected = np.asarray(expected, np.float64)
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def placed(
    program: Program, folder: Path, targets: Mapping[str, Array], start: Array, steps: int = 0
) -> list[Any]:
    """Return the arguments of a program on the device; see `inputs.arguments`."""
    device = xla_bridge.get_backend().local_devices()[0]
    weights = weights_in(folder, program.network)
    numbers = jax.numpy.bfloat16 if program.precision == "bfloat16" else np.float32
    return [
        jax.device_put(value.astype(numbers) if name in weights else value, device)
        for name, value in zip(
            program.parameters, arguments(program, folder, targets, start, steps), strict=True
        )
    ]


def step(program: Program, executable: Any, folder: Path, work: Path) -> dict[str, Any]:
    """Return the time, memory and errors of one evaluation."""
    targets = stored(work / f"{program.network}-{program.side}-0.npz")
    start = np.roll(picture(folder, "astronaut", program.side), 3, axis=1)
    given = placed(program, folder, targets, start)
    value, gradient = results_of(executable, given)
    seconds_of(executable, given, 3)
    seconds = seconds_of(executable, given, 20)
    found = {
        "median_s": statistics.median(seconds),
        "min_s": min(seconds),
        "value": float(np.ravel(value)[0]),
    }
    if "reference/value" in targets:
        first = gradient[0] if program.batch > 1 else gradient
        found["value_error"] = relative_error(np.ravel(value)[:1], targets["reference/value"])
        found["gradient_error"] = relative_error(first, targets["reference/gradient"])
    return found


def descent(program: Program, executable: Any, folder: Path, work: Path) -> dict[str, Any]:
    """Return the time of whole optimizations, and what they reach for several pairs."""
    pairs = json.loads((folder / "programs.json").read_text())["pairs"]
    runs = []
    for number, (content, _) in enumerate(pairs):
        path = work / f"{program.network}-{program.side}-{number}.npz"
        if not path.exists():
            continue
        targets, photo = stored(path), picture(folder, content, program.side)
        for name, start in (("", photo), ("perturbed", photo + np.float32(PERTURBATION))):
            if name and program.precision != "float32":
                continue
            results_of(executable, placed(program, folder, targets, start, 2))
            given = placed(program, folder, targets, start, DESCENT_STEPS)
            began = time.perf_counter()
            value, pixels, evaluations, steps = results_of(executable, given)
            seconds = time.perf_counter() - began
            np.save(work / f"result-{program.name}-{number}{name}.npy", pixels)
            runs.append(
                {
                    "pair": number,
                    "start": name,
                    "seconds": seconds,
                    "total": float(value),
                    "evaluations": int(evaluations),
                    "steps": int(steps),
                }
            )
    return {"runs": runs}


def stored(path: Path) -> dict[str, Array]:
    """Return the arrays of a file."""
    with np.load(path) as arrays:
        return dict(arrays)


def expected_here(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield how far a step is from what TensorFlow's CPU kernels gave where it was exported."""
    for path in sorted(folder.glob("expected-*.npz")):
        network = path.stem.removeprefix("expected-")
        known = stored(path)
        side = len(known["start"])
        template = next(one for one in programs_in(folder) if one.network == network)
        name = f"step-{network}-{side}-1-plain"
        parameters = tuple(one for one in template.parameters if one not in ("steps", "step_size"))
        about = ("step", f"{name}-float32.mlir", network, side, 1, "float32", "plain")
        program = Program(name, *about, parameters, template.constants)
        executable, _ = compiled(program, folder)
        given = placed(program, folder, known, known["start"])
        value, gradient = results_of(executable, given)
        yield {
            "by": "XLA against TensorFlow's CPU kernels",
            "network": network,
            "side": side,
            "precision": "float32",
            "value_error": relative_error(np.ravel(value), known["value"]),
            "gradient_error": relative_error(gradient, known["gradient"]),
        }


def measured(
    program: Program, future: "Future[tuple[Any, float]]", folder: Path, work: Path
) -> dict[str, Any]:
    """Return all about one program; one that fails must not end the others."""
    about: dict[str, Any] = {
        "by": "XLA",
        "name": program.name,
        "kind": program.kind,
        "network": program.network,
        "side": program.side,
        "batch": program.batch,
        "precision": program.precision,
        "variant": program.variant,
    }
    try:
        executable, about["compile_s"] = future.result()
        about["peak_bytes"] = memory_of(executable)
        measure = step if program.kind == "step" else descent
        return about | measure(program, executable, folder, work)
    except Exception as error:  # noqa: BLE001 - whatever XLA raises is a finding
        return about | {"error": f"{type(error).__name__}: {error}"[:300]}


def run_all(wanted: list[Program], options: argparse.Namespace) -> None:
    """Compile the programs side by side, then measure one after the other."""
    started = time.perf_counter()
    with ThreadPoolExecutor(options.threads) as pool:
        futures = {one.name: pool.submit(compiled, one, options.folder) for one in wanted}
        # Nothing is timed while the compiler tries kernels on the device.
        for future in futures.values():
            left = options.seconds * 0.75 - (time.perf_counter() - started)
            try:
                future.exception(timeout=max(left, 0.1))
            except TimeoutError:
                future.cancel()
        for one in wanted:
            future = futures[one.name]
            late = time.perf_counter() - started > options.seconds
            if late or not future.done() or future.cancelled():
                note(options.results, {"by": "XLA", "name": one.name, "error": "no time left"})
                continue
            note(options.results, measured(one, future, options.folder, options.work))


def note(results: Path, line: Mapping[str, Any]) -> None:
    """Append a line to the results, and show it."""
    with results.open("a") as file:
        print(json.dumps(line), file=file)
    print({key: value for key, value in line.items() if key != "runs"}, flush=True)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--kind", choices=["step", "descent"], default="step")
    parser.add_argument("--only", default="", help="a regular expression for names")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--threads", type=int, default=8)
    options = parser.parse_args()
    device = xla_bridge.get_backend().local_devices()[0]
    note(options.results, {"by": "JAX", "version": jax.__version__, "device": device.device_kind})
    if options.kind == "step" and not options.only:
        for line in expected_here(options.folder):
            note(options.results, line)
    wanted = [
        one
        for one in programs_in(options.folder)
        if one.kind == options.kind and re.search(options.only, one.name)
    ]
    run_all(wanted, options)


if __name__ == "__main__":
    main()
