"""In which process rows and styles are computed, by their device and their precision."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nst_core import devices
from nst_core.devices.free_memory import Reservation
from tasks.stopping import Deadline
from tasks.store.output_folder import OutputFolder
from tasks.store.style_cache import StyleCache
from tasks.work import isolation, ladder, stylization, targets
from tasks.work.row_options import RowOptions
from tests.jobs import job_of_size

HERE = "this process"


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return where memory was reserved and where work was done: here, or by device and TF32."""
    seen: list[Any] = []

    class Process:
        def __init__(self, device: str, *, tf32: bool) -> None:
            self._what = device, tf32

        def run(self, *_: Any) -> tuple[None, float]:
            seen.append(self._what)
            return None, 0.0

    def reserved(device: str, _: Any, *, isolated: bool, tf32: bool) -> Any:
        seen.append((device, tf32) if isolated else HERE)
        return nullcontext(Reservation(0, None))

    def here(*_: Any) -> tuple[None, float]:
        seen.append(HERE)
        return None, 0.0

    monkeypatch.setattr(isolation, "process_of", Process)
    monkeypatch.setattr(ladder, "reserved_memory", reserved)
    monkeypatch.setattr(devices, "reserved_memory", reserved)
    monkeypatch.setattr(devices, "on_asked_devices", lambda text, work, **_: work(text))
    monkeypatch.setattr(stylization, "_on_rung", here)
    monkeypatch.setattr(targets, "_computed", here)
    return seen


WHERE = [
    ("CPU:0", "tf32", False, HERE),
    ("CPU:0", "float32", False, HERE),
    ("CPU:0", "bfloat16", False, HERE),
    ("CPU:0", "bfloat16", True, ("CPU:0", False)),
    ("GPU:1", "tf32", False, HERE),
    ("GPU:1", "tf32", True, ("GPU:1", True)),
    ("GPU:1", "float32", False, ("GPU:1", False)),
    ("GPU:1", "bfloat16", False, ("GPU:1", False)),
    ("GPU:1", "float32", True, ("GPU:1", False)),
]


@pytest.mark.parametrize(("device", "precision", "isolate", "where"), WHERE)
def test_a_row_without_tf32_is_not_computed_in_the_process_of_the_batch_on_a_gpu(
    used: list[Any], tmp_path: Path, device: str, precision: str, isolate: bool, where: Any
) -> None:
    job, options = job_of_size(64, precision=precision), RowOptions(isolate=isolate)
    nothing: Any = None
    places = OutputFolder(tmp_path), StyleCache(tmp_path)
    stylization.stylize_job(job, nothing, *places, device, options, print)
    assert used == [where, where]


@pytest.mark.parametrize(("device", "precision", "isolate", "where"), WHERE)
def test_nor_are_its_styles(
    used: list[Any], tmp_path: Path, device: str, precision: str, isolate: bool, where: Any
) -> None:
    job = job_of_size(6000, precision=precision)
    (style,) = job.styles
    large = style.pictures[0].model_copy(update={"shape": (4000, 4000)})
    style = style.model_copy(update={"pictures": (large,)})
    report: Any = SimpleNamespace(job=job)
    cache: Any = None
    output = OutputFolder(tmp_path)
    workplace = targets.Workplace(report, cache, output, device, Deadline(), isolate)
    targets.compute(workplace, style)
    assert used == [where, where]
