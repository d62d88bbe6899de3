"""Completion in shells: the scripts are valid, and shells complete with them."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.cli.app import app
from flows.cli.completion import completion

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


IN_BASH = """
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
COMP_LINE="$*"
COMP_POINT=${#COMP_LINE}
compopt() { :; }
name=$(complete -p nst-batch | sed 's/.*-F \\([^ ]*\\).*/\\1/')
"$name" nst-batch "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def by_bash(script: Path, *words: str) -> list[str]:
    return offered("bash", "--norc", "-c", IN_BASH, "bash", script, *words, folder=script.parent)


def by_fish(script: Path, *words: str) -> list[str]:
    line = " ".join(words)
    shown = offered(
        *("fish", "--no-config", "-c", 'source "$argv[1]"; complete -C "$argv[2]"', script, line),
        folder=script.parent,
    )
    # Each line is a word and, after a tab, what it means.
    return [word.partition("\t")[0] for word in shown]


def offered(*command: str | Path, folder: Path) -> list[str]:
    shown = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stderr == ""
    return [word.strip() for word in shown.stdout.splitlines()]


IN_ZSH = """
PS1='' PS2='' RPS1=''
fpath=($PWD/functions $fpath)
autoload -Uz compinit && compinit -u -D
compadd() {
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then
    builtin compadd "$@"
    return
  fi
  local -a found
  builtin compadd -O found "$@"
  (( $#found )) && print -rl -- $found >> offered
  builtin compadd "$@"
}
comppostfuncs=(ended)
ended() { : > ended }
bindkey '^I' complete-word
"""


def name_for_zsh() -> str:
    """Return the name that the help of the command gives to the file of the script."""
    (name,) = re.findall(r"completion zsh > \S+/(\S+)`", completion.__doc__ or "")
    return str(name)


def by_zsh(script: Path, *words: str) -> list[str]:
    """Return what zsh offers for the last word, as it is typed on a terminal."""
    folder = script.parent
    (folder / "functions").mkdir(exist_ok=True)
    (folder / "functions" / name_for_zsh()).write_bytes(script.read_bytes())
    (folder / "setup").write_text(IN_ZSH)
    typed = f". ./setup\n{' '.join(words)}\t"
    ours, its = pytest.importorskip("pty").openpty()
    shell = subprocess.Popen(
        ["zsh", "-f", "-i"],
        stdin=its,
        stdout=its,
        stderr=its,
        cwd=folder,
        env=os.environ | {"TERM": "vt100"},
        start_new_session=True,
    )
    try:
        os.write(ours, typed.encode())
        until = time.monotonic() + 60
        while not (folder / "ended").exists():
            assert time.monotonic() < until, "zsh has not answered"
            time.sleep(0.05)
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)
        os.close(its)
    found = folder / "offered"
    return found.read_text().split("\n")[:-1] if found.exists() else []


BY_SHELL: dict[str, Callable[..., list[str]]] = {"bash": by_bash, "zsh": by_zsh, "fish": by_fish}


def completed(script: Path, *words: str) -> set[str]:
    """Return what the shell of a script offers for the last word."""
    shell = script.suffix[1:]
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (script.parent / "photos").mkdir(exist_ok=True)
    (script.parent / "night.csv").touch()
    found = BY_SHELL[shell](script, "nst-batch", *words)
    # Folders may be shown with a slash.
    return {word.removesuffix("/") for word in found}


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
@pytest.mark.parametrize("script", SHELLS, indirect=True)
def test_shells_complete(script: Path, words: list[str], expected: set[str]) -> None:
    assert completed(script, *words) == expected


@pytest.mark.parametrize("script", SHELLS, indirect=True)
def test_shells_offer_every_command(script: Path) -> None:
    commands = {name for name in app if not name.startswith("-")}
    assert commands <= completed(script, "")
