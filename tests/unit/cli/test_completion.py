"""Completion in shells: the scripts are valid, and bash completes with them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from flows.cli.app import app

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture
def script(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture) -> Path:
    shell = getattr(request, "param", "bash")
    assert app(["completion", shell], result_action="return_value") == 0
    path = tmp_path / f"nst-batch.{shell}"
    path.write_text(capsys.readouterr().out, "utf-8")
    return path


@pytest.mark.parametrize("script", SHELLS, indirect=True)
def test_a_script_is_valid(script: Path) -> None:
    assert "nst-batch" in script.read_text("utf-8")
    shell = script.suffix[1:]
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    checked = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


COMPLETE = """
source "$1"
cd "$2"
shift 2
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
COMP_LINE="$*"
COMP_POINT=${#COMP_LINE}
compopt() { :; }
name=$(complete -p nst-batch | sed 's/.*-F \\([^ ]*\\).*/\\1/')
"$name" nst-batch "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(script: Path, *words: str) -> list[str]:
    """Return what bash offers for the last word."""
    (script.parent / "photos").mkdir(exist_ok=True)
    (script.parent / "night.csv").touch()
    command = ["bash", "--norc", "-c", COMPLETE, "bash", script, script.parent, "nst-batch", *words]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert shown.stderr == ""
    return [word.strip() for word in shown.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ru"], {"run"}),
        (["weights", "f"], {"fetch"}),
        (["cache", "pru"], {"prune"}),
        (["run", "night.csv", "--out"], {"--output"}),
        (["run", "night.csv", "--prese"], {"--preset"}),
        (["run", "night.csv", "--preset", "f"], {"fine"}),
        (["run", "night.csv", "--optimizer", ""], {"lbfgs", "adam"}),
        (["animate", "results", "a", "--format", "w"], {"webp"}),
        (["completion", ""], set(SHELLS)),
        (["run", "nig"], {"night.csv"}),
        (["run", "night.csv", "--output", "pho"], {"photos"}),
    ],
)
def test_bash_completes(script: Path, words: list[str], expected: set[str]) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    assert set(completed(script, *words)) == expected


def test_bash_offers_every_command(script: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    commands = {name for name in app if not name.startswith("-")}
    assert commands <= set(completed(script, ""))
