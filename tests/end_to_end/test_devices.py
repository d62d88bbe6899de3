"""Several rows at once on parts of the CPU, which stand in for GPUs."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nst_core.storage.locks import flock, locked
from tests.end_to_end.conftest import QUICK, Shell
from tests.pictures import write_csv

FOUR = "cpu:0,cpu:1,cpu:2,cpu:3"

INSTRUMENTED = """
import json, sys, threading
from pathlib import Path
import tensorflow as tf
from nst_core.transfer.styles import statistics
from nst_core.transfer import stylize
from nst_core.networks.forward import current_device
from nst_core.transfer.presets import Overrides

BROKEN = {broken!r}
together = threading.Barrier({together})
lock = threading.Lock()
active, seen, most = [], [], 0
original = stylize.iterates

def watched(*arguments, **options):
    global most
    device = current_device().rpartition("device:")[2]
    with lock:
        assert device not in active, "two rows on " + device
        active.append(device)
        seen.append(device)
        most = max(most, len(active))
    try:
        if device == BROKEN:
            raise tf.errors.InternalError(None, None, "the device was lost")
        if not BROKEN:
            together.wait(120)
        return (yield from original(*arguments, **options))
    finally:
        with lock:
            active.remove(device)

stylize.iterates = watched
style_targets = statistics.style_targets

def broken_too(*arguments, **options):
    device = current_device().rpartition("device:")[2]
    if device == BROKEN:
        seen.append(device)
        raise tf.errors.InternalError(None, None, "the device was lost")
    return style_targets(*arguments, **options)

statistics.style_targets = broken_too
from flows.stylize_manifest import stylize_manifest
state = stylize_manifest(
    Path("m.csv"), Path("out"), Overrides(size=32, steps=2, octaves=1, optimizer="adam"),
    devices={devices!r}, return_state=True,
)
print(json.dumps({{"state": state.name, "seen": seen, "most": most}}))
"""


def run_watched(shell: Shell, broken: str, together: int) -> dict[str, object]:
    rows = [
        ("a.png", style, f"{style[0]}{number}", number)
        for style in ("s.png", "t.png")
        for number in range(1, 5)
    ]
    write_csv(shell.folder / "m.csv", ("content", "style", "output", "style_weight"), *rows)
    program = INSTRUMENTED.format(broken=broken, together=together, devices=FOUR)
    report: dict[str, object] = json.loads(shell.python(program).stdout.splitlines()[-1])
    return report


def devices_of(shell: Shell) -> list[str]:
    header, *rows = (shell.folder / "out" / "summary.csv").read_text().splitlines()
    column = header.split(",").index("device")
    return [row.split(",")[column] for row in rows]


@pytest.mark.nights
def test_four_devices_run_four_rows_at_once_one_each(shell: Shell) -> None:
    report = run_watched(shell, broken="", together=4)
    assert report["state"] == "Completed"
    assert report["most"] == 4
    assert len(report["seen"]) == 8
    assert sorted(devices_of(shell)) == sorted(report["seen"])
    assert set(devices_of(shell)) == {"CPU:0", "CPU:1", "CPU:2", "CPU:3"}


@pytest.mark.nights
def test_rows_move_away_from_a_failing_device(shell: Shell) -> None:
    report = run_watched(shell, broken="CPU:2", together=1)
    assert report["state"] == "Completed"
    assert set(devices_of(shell)) == {"CPU:0", "CPU:1", "CPU:3"}
    assert 1 <= report["seen"].count("CPU:2") <= 2


@pytest.mark.torture
def test_a_missing_gpu_is_refused_before_any_row(shell: Shell) -> None:
    manifest = write_csv(shell.folder / "m.csv", ("content", "style"), ("a.png", "s.png"))
    result = shell.run("run", manifest, "-o", "out", *QUICK, "--devices", "gpu:0")
    assert result.returncode == 2
    assert "devices: gpu:0 requested, but TensorFlow sees only cpu:0" in result.stderr
    assert not list((shell.folder / "out" / "pictures").iterdir())
    typo = shell.run("run", manifest, "-o", "out", "--devices", "gpu0")
    assert typo.returncode == 2
    assert "found 'gpu0'; expected auto, gpu, cpu, or devices such as gpu:0,gpu:2" in typo.stderr


@pytest.mark.torture
def test_rows_on_the_cpu_do_not_wait_and_report_other_runs(shell: Shell) -> None:
    manifest = write_csv(shell.folder / "m.csv", ("content", "style"), ("a.png", "s.png"))
    folder = Path(shell.environment["NST_BATCH_DEVICE_LOCKS"])
    folder.mkdir(parents=True)
    with locked(folder / "nst-batch-CPU.lock"), locked(folder / "nst-batch-CPU0.lock"):
        run = shell.run("run", manifest, "-o", "out", *QUICK, "--devices", "Auto")
    assert run.returncode == 0, run.stderr
    assert "1 done" in run.stdout
    # On a machine without a GPU, `auto` means the CPU, and the run reports it.
    lines = run.stdout.splitlines()
    assert "no GPU in use: rows run on the CPU" in lines
    (shared,) = [line for line in lines if "also uses this CPU" in line]
    assert f"(process {os.getpid()} of " in shared


WITH_A_GPU = """
import sys
from nst_core import devices
devices.lending.open_devices = devices.open_devices = lambda _: ("GPU:0",)
devices.peak_memory_mb = lambda _: 0.0
from flows.cli.app import main
main()
"""


@pytest.mark.nights
def test_a_row_that_waits_for_a_gpu_reports_it_once_by_name(shell: Shell) -> None:
    manifest = write_csv(
        shell.folder / "m.csv", ("content", "style", "output"), ("a.png", "s.png", "night")
    )
    folder = Path(shell.environment["NST_BATCH_DEVICE_LOCKS"])
    folder.mkdir(parents=True)
    descriptor = flock(folder / "nst-batch-GPU0.lock")
    assert descriptor is not None
    arguments = ["run", str(manifest), "-o", "out", *QUICK, "--devices", "gpu"]
    run = subprocess.Popen(
        [sys.executable, "-P", "-c", WITH_A_GPU, *arguments],
        cwd=shell.folder,
        env=shell.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(240, run.kill)
    watchdog.start()
    assert run.stdout is not None
    try:
        lines = []
        for line in run.stdout:
            lines.append(line)
            if "waits for a device" in line:
                break
        # The row asks for the device a dozen times meanwhile.
        time.sleep(1.2)
        assert run.poll() is None
        os.close(descriptor)
        output, errors = run.communicate()
    finally:
        watchdog.cancel()
    assert run.returncode == 0, errors
    lines += output.splitlines(keepends=True)
    (waits,) = [line for line in lines if "waits for a device" in line]
    assert waits.startswith(
        f"line 2 night.png waits for a device that another run uses: process {os.getpid()} of "
    )
