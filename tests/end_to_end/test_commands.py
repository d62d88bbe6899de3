"""All commands except `run`, as subprocesses."""

import dataclasses
import json
import os
import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from flows.cli.commands import doctor
from nst_core.storage.locks import locked
from nst_core.transfer.presets import PRESETS
from nst_core.transfer.settings import Settings
from tasks.store.csv_cells import to_csv
from tests.end_to_end.conftest import QUICK, Shell
from tests.nvml import FakeNvml, fake_gpu, uuid
from tests.pictures import huge_png, write_csv

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bad_manifest(shell: Shell) -> Path:
    intact = shell.picture("whole.png", 9)
    Image.open(intact).resize((300, 200)).save(shell.folder / "whole.jpg")
    data = (shell.folder / "whole.jpg").read_bytes()
    (shell.folder / "truncated.jpg").write_bytes(data[: len(data) // 2])
    (shell.folder / "text.jpg").write_text("this is no picture")
    return write_csv(
        shell.folder / "bad.csv",
        ("content", "style", "content_weight", "colour"),
        ("missing.png", "s.png", "", ""),
        ("text.jpg", "s.png", "", ""),
        ("truncated.jpg", "s.png", "", ""),
        ("a.png", "s.png", "-1", ""),
        ("a.png", "t.png", "", "red"),
        ("b.png", "s.png", "", ""),
    )


def test_check_reports_every_fault_with_line_and_column(shell: Shell, bad_manifest: Path) -> None:
    result = shell.run("check", bad_manifest, "--json")
    assert result.returncode == 1
    report = json.loads(result.stdout)
    assert (report["rows"], report["usable"]) == (6, 1)
    assert [(fault["line"], fault["column"]) for fault in report["faults"]] == [
        *((2, "content"), (3, "content"), (4, "content"), (5, "content_weight"), (6, "colour")),
    ]
    assert "Traceback" not in result.stderr
    plain = shell.run("check", bad_manifest)
    assert plain.returncode == 1
    for name in ("missing.png", "text.jpg", "truncated.jpg", "-1", "colour"):
        assert name in plain.stdout
    assert "6 rows: 1 can run, 5 errors" in plain.stdout


@pytest.fixture
def hostile(shell: Shell) -> list[tuple[str, str]]:
    """Write `m.csv` with a good row and bad ones; return contents and outputs of the bad ones."""
    (shell.folder / "loop.png").symlink_to("loop.png")
    os.mkfifo(shell.folder / "pipe.png")
    (shell.folder / "huge.png").write_bytes(huge_png())
    bad = [
        *(("loop.png", ""), ("a\0.png", ""), ("https://[bad/x.png", ""), ("file://[", "")),
        *(("a.png", "/".join(["d" * 100] * 50)), ("huge.png", ""), ("pipe.png", "")),
        *(("/dev/zero", ""), ("/dev/stdin", "")),
    ]
    rows = [("a.png", "s.png", "good"), *((content, "s.png", output) for content, output in bad)]
    text = to_csv([("content", "style", "output"), *rows])
    (shell.folder / "m.csv").write_text(text)
    return bad


def test_bad_rows_never_end_check_or_plan(shell: Shell, hostile: list[tuple[str, str]]) -> None:
    for arguments in (["--json"], ["--json", "--output", "out"]):
        checked = shell.run("check", "m.csv", *arguments)
        assert (checked.returncode, checked.stderr) == (1, "")
        report = json.loads(checked.stdout)
        assert report["usable"] == 1
        assert [(fault["line"], fault["found"]) for fault in report["faults"]] == [
            (line, output or content) for line, (content, output) in enumerate(hostile, start=3)
        ]
    planned = shell.run("plan", "m.csv", "--output", "out", "--json", *QUICK)
    counts = json.loads(planned.stdout)["counts"]
    assert (counts["new"], counts["invalid"]) == (1, len(hostile))


@pytest.mark.nights
def test_unusable_rows_are_invalid_and_the_others_run(
    shell: Shell, hostile: list[tuple[str, str]]
) -> None:
    done = shell.run("run", "m.csv", "--output", "out", *QUICK)
    assert done.returncode == 1
    assert f"1 done, {len(hostile)} invalid" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    table = pd.read_csv(shell.folder / "out" / "summary.csv")
    assert list(table["status"]) == ["done"] + ["invalid"] * len(hostile)
    assert (shell.folder / "out" / "gallery.html").is_file()


def test_check_accepts_a_good_manifest_and_writes_nothing(shell: Shell) -> None:
    manifest = write_csv(shell.folder / "m.csv", ("content", "style"), ("a.png", "s.png"))
    result = shell.run("check", manifest, "--output", "new/folder")
    assert (result.returncode, result.stderr) == (0, "")
    assert not (shell.folder / "new").exists()


def test_check_reports_an_unwritable_output_folder(shell: Shell) -> None:
    manifest = write_csv(shell.folder / "m.csv", ("content", "style"), ("a.png", "s.png"))
    (shell.folder / "file").write_text("")
    result = shell.run("check", manifest, "--output", "file/out", "--json")
    assert result.returncode == 1
    (fault,) = json.loads(result.stdout)["faults"]
    assert fault["column"] == "(--output)"


@pytest.mark.parametrize(
    "command", ["check", pytest.param("plan", marks=pytest.mark.nights), "run"]
)
def test_an_unusable_manifest_is_reported_in_one_line(shell: Shell, command: str) -> None:
    (shell.folder / "m.csv").write_text("picture,style\na,b\n")
    output = [] if command == "check" else ["--output", "out"]
    for name, message in (("m.csv", "no column content"), ("no.csv", "No such file")):
        result = shell.run(command, name, *output)
        assert result.returncode == 2
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["run", "m.csv", "--output", "out", "--size", "3"],
            "error: --size: found '3'; expected a whole number from 16 to 8192",
        ),
        (["run", "m.csv", "--output", "out", "--preset", "best"], "best"),
        (["run", "m.csv", "--output", "out", "--sice", "64"], "hint: did you mean --size?"),
        (["run", "m.csv"], "--output"),
        (["paint"], "paint"),
    ],
)
def test_an_invalid_command_line_is_reported(
    shell: Shell, arguments: list[str], message: str
) -> None:
    result = shell.run(*arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.nights
def test_plan_before_and_after_a_run_and_the_cache_it_leaves(shell: Shell) -> None:
    rows = [("content", "style"), ("a.png", "s.png"), ("b.png", "s.png"), ("no.png", "t.png")]
    manifest = write_csv(shell.folder / "m.csv", *rows)
    before = shell.run("plan", manifest, "--output", "out", "--json", *QUICK)
    assert before.returncode == 1
    report = json.loads(before.stdout)
    assert report["counts"] == {"new": 2, "equal": 0, "done": 0, "invalid": 1}
    assert report["styles"] == {"needed": 1, "kept": 0, "to_compute": 1}
    assert report["seconds"] > 0
    assert report["memory_mb"] > 0
    finished = [*rows[:2], ("a.png", "t.png")]
    shell.run("run", write_csv(manifest, *finished), "--output", "out", *QUICK)
    after = shell.run("plan", write_csv(manifest, *rows), "--output", "out", "--json", *QUICK)
    report = json.loads(after.stdout)
    assert report["counts"] == {"new": 1, "equal": 0, "done": 1, "invalid": 1}
    assert report["styles"] == {"needed": 1, "kept": 1, "to_compute": 0}
    assert [row["status"] for row in report["rows"]] == ["done", "new", "invalid"]
    check_that_cache_is_listed_and_pruned(shell)


def test_manifest_writes_all_pairs(shell: Shell) -> None:
    for name in ("one.png", "two.png"):
        shell.picture(f"photos/{name}", 1)
        shell.picture(f"art/deep/{name}", 2)
    (shell.folder / "photos" / "notes.txt").write_text("")
    result = shell.run("manifest", "photos", "art/**/*.png", "-o", "lists/all.csv")
    assert (result.returncode, result.stderr) == (0, "")
    assert (shell.folder / "lists" / "all.csv").read_text().splitlines() == [
        "content,style",
        "../photos/one.png,../art/deep/one.png",
        "../photos/one.png,../art/deep/two.png",
        "../photos/two.png,../art/deep/one.png",
        "../photos/two.png,../art/deep/two.png",
    ]
    assert shell.run("check", "lists/all.csv").returncode == 0
    again = shell.run("manifest", "art", "photos", "-o", "lists/all.csv")
    assert again.returncode == 2
    assert "lists/all.csv: the file already exists" in again.stderr


@pytest.mark.nights
def test_demo_writes_good_rows_and_the_manifest_of_make_demo(shell: Shell) -> None:
    result = shell.run("demo", "demo")
    assert (result.returncode, result.stderr) == (0, "")
    checked = shell.run("check", "demo/demo.csv", "--json")
    assert checked.returncode == 0
    assert json.loads(checked.stdout)["usable"] >= 4
    written = (shell.folder / "demo" / "demo.csv").read_text()
    expected = (ROOT / "manifests" / "demo.csv").read_text()
    assert expected.replace("../build/demo/inputs/", "") == written


def test_presets_lists_all_presets_and_settings(shell: Shell) -> None:
    result = shell.run("presets", "--json")
    report = json.loads(result.stdout)
    assert {name: Settings(**values) for name, values in report.items()} == dict(PRESETS)
    plain = shell.run("presets").stdout
    assert all(name in plain for name in (*PRESETS, *Settings.model_fields))


def test_doctor_reports_versions_server_and_devices(shell: Shell) -> None:
    result = shell.run("doctor", "--json")
    assert result.returncode == 0, result.stdout
    findings = {finding["subject"]: finding for finding in json.loads(result.stdout)}
    assert {
        "python",
        "prefect",
        "fastapi",
        "sqlalchemy",
        "tensorflow",
        "cache",
        "weights of vgg16",
    } <= set(findings)
    assert findings["server"]["found"] == shell.environment["PREFECT_API_URL"]
    assert "CPU:0" in findings["devices"]["found"]


TENSORFLOW_WITH_GPUS = """
from types import SimpleNamespace as N
NAMES = ("CPU:0", "GPU:0", "GPU:1")
config = N(list_physical_devices=lambda: [N(name="/physical_device:" + name) for name in NAMES])
capabilities = ["sm_60", "sm_80", "compute_90"]
info = {"is_cuda_build": True, "cuda_version": "12.5.1", "cuda_compute_capabilities": capabilities}
sysconfig = N(get_build_info=lambda: info)
"""


@pytest.fixture
def gpu_shell(shell: Shell, tmp_path: Path) -> Shell:
    """Return a shell where TensorFlow reports two GPUs, and a folder `fake` hides packages."""
    folder = tmp_path / "fake"
    folder.mkdir()
    (folder / "tensorflow.py").write_text(TENSORFLOW_WITH_GPUS)
    paths = [str(folder), *filter(None, [shell.environment.get("PYTHONPATH")])]
    hidden = {"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"}
    kept = {name: text for name, text in shell.environment.items() if name not in hidden}
    return dataclasses.replace(shell, environment=kept | {"PYTHONPATH": os.pathsep.join(paths)})


def test_doctor_describes_gpus_their_locks_and_known_troubles(
    gpu_shell: Shell, tmp_path: Path
) -> None:
    blackwell = fake_gpu("b", 7, name="NVIDIA RTX 5090", capability=(12, 0))
    FakeNvml([fake_gpu("a", 4), blackwell]).write(tmp_path / "fake")
    locks = Path(gpu_shell.environment["NST_BATCH_DEVICE_LOCKS"])
    locks.mkdir(parents=True)
    with locked(locks / f"nst-batch-GPU{uuid('b')}.lock"):
        result = gpu_shell.run("doctor", "--json", "--output", "out")
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads(result.stdout)
    findings = {finding["subject"]: finding for finding in report}
    assert len(findings) == len(report)
    assert findings["devices"]["found"] == "CPU:0 GPU:0 GPU:1"
    assert findings["nvml"]["found"] == "driver 550.54.15, 2 GPUs"
    assert findings["gpu 0"]["found"] == (
        f"NVIDIA H100, memory 80.0 GB (79.0 GB free), compute capability 9.0, {uuid('a')}"
    )
    assert findings["gpu 0: lock"]["found"].startswith("free (")
    assert re.match(rf"held by process {os.getpid()} of ", findings["gpu 1: lock"]["found"])
    assert findings["gpu 1: generation"]["state"] == "warning"
    for name in ("cache", "output", "temporary folder"):
        assert " GB at " in findings[f"free space, {name}"]["found"]
    verdict = report[-1]
    assert (verdict["subject"], verdict["state"]) == ("verdict", "warning")
    assert "its rows run on GPU:0 and GPU:1" in verdict["found"]
    assert f"held by process {os.getpid()}" in verdict["found"]
    assert "gpu 1: generation: try one row" in verdict["advice"]


@pytest.mark.nights
def test_doctor_begins_with_a_verdict_even_if_nvml_fails(gpu_shell: Shell, tmp_path: Path) -> None:
    FakeNvml(failing={"init": "Driver Not Loaded"}).write(tmp_path / "fake")
    result = gpu_shell.run("doctor")
    assert result.returncode == 0, result.stdout + result.stderr
    verdict, _, table = result.stdout.partition("\n\n")
    assert {len(line.split("\t")) for line in table.splitlines()} == {4}
    assert verdict.startswith(
        "What works:\n  A run can begin here; its rows run on GPU:0 and GPU:1."
    )
    assert "nvml: NVML gives no answer: Driver Not Loaded; GPUs are locked by number" in verdict
    assert "What to do:\n  nvml: pip install nvidia-ml-py" in verdict


@pytest.mark.nights
def test_doctor_fails_as_a_run_would_fail(gpu_shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "fake" / "tensorflow.py").write_text("raise ImportError('no libcudart.so')")
    (gpu_shell.folder / "file").touch()
    result = gpu_shell.run("doctor", "--json", "--output", "file")
    assert result.returncode == 3
    report = json.loads(result.stdout)
    wrong = [finding["subject"] for finding in report if finding["state"] == "error"]
    assert wrong == ["output", "devices", "verdict"]
    assert ". A run would end before its first row. output: " in report[-1]["found"]
    assert "devices: reinstall TensorFlow" in report[-1]["advice"]


def test_doctor_reports_a_server_that_does_not_answer() -> None:
    finding = doctor._server("http://127.0.0.1:9/api")
    assert finding.state == "error"
    assert "prefect server start" in finding.advice


def check_that_cache_is_listed_and_pruned(shell: Shell) -> None:
    """Check `cache list` and `cache prune` after a run that needed two styles."""
    targets = sorted((shell.folder / "home" / "cache").rglob("targets/*.safetensors"))
    assert len(targets) == 2
    targets[0].write_bytes(b"damaged")
    listed = json.loads(shell.run("cache", "list", "--json").stdout)["styles"]
    assert [style["state"] for style in listed] == ["damaged", "ok"]
    assert shell.run("cache", "prune", "--dry-run").returncode == 0
    assert all(path.exists() for path in targets)
    shell.run("cache", "prune")
    assert [path.exists() for path in targets] == [False, True]
    shell.run("cache", "prune", "--older-than", "0")
    assert not targets[1].exists()


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["run", "--help"], ["tensorflow", "prefect", "pandas"]),
        (["serve", "--help"], ["tensorflow", "prefect", "pandas"]),
        (["plan", "--help"], ["tensorflow", "prefect", "pandas"]),
        (["check", "--help"], ["tensorflow", "prefect", "pandas"]),
        (["check", "m.csv"], ["tensorflow", "prefect", "pandas"]),
        (["plan", "m.csv", "--output", "out"], ["tensorflow", "prefect", "pandas"]),
        (["presets"], ["tensorflow", "prefect", "pandas"]),
    ],
)
def test_light_commands_load_no_heavy_libraries(
    shell: Shell, arguments: list[str], unwanted: list[str]
) -> None:
    write_csv(shell.folder / "m.csv", ("content", "style"), ("a.png", "s.png"))
    loaded = f"loaded = [name for name in {unwanted!r} if name in sys.modules]\n"
    shell.run_and_then(arguments, loaded + "assert not loaded, loaded")


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_of_the_program_loads_no_command(shell: Shell, option: str) -> None:
    """Python itself, Cyclopts and rich are 330 modules; help of a command loads twice as many."""
    program = (
        "libraries = {'numpy', 'PIL', 'pydantic', 'fsspec', 'psutil'} & set(sys.modules)\n"
        "assert not libraries, libraries\n"
        "ours = [name for name in sys.modules if name.startswith('flows.cli.')]\n"
        "assert not [name for name in ours if name.endswith(('_app', '_command', '_commands'))]\n"
        "assert len(sys.modules) < 420, len(sys.modules)\n"
    )
    shell.run_and_then([option], program)


def test_imports_go_one_way() -> None:
    """Imports go flows -> tasks -> nst_core, which imports neither Prefect nor pandas."""
    forbidden = {"nst_core": ("tasks", "flows", "prefect", "pandas"), "tasks": ("flows",)}
    for package, names in forbidden.items():
        for path in (ROOT / package).rglob("*.py"):
            pattern = rf"^\s*(?:from|import) ({'|'.join(names)})\b"
            found = re.findall(pattern, path.read_text(), flags=re.MULTILINE)
            assert not found, f"{path} imports {found}"


def test_the_lock_file_has_hashes_and_names_no_registry() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "--hash=sha256:" in lock
    assert "://" not in lock
    assert "index-url" not in lock
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert any(need.startswith("prefect>=") for need in needed)
