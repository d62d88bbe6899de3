"""Messages of libraries, which reach no terminal unless the user asks for them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

STYLIZE = """
import sys
import numpy as np
from nst_core.transfer.presets import resolve
from nst_core.transfer.stylize import stylize
picture = np.full((32, 32, 3), 0.5, np.float32)
picture[8:20, 4:30] = 0.1
settings = resolve({"steps": 1, "octaves": 1, "size": 32, "optimizer": "adam"})
outcome = stylize(picture, picture[::-1], settings)
print(outcome.steps)
sys.stderr.write("ours\\n")
"""

WARNS = """
import sys, warnings
from flows.cli.commands import presets
original = presets.presets
def warned(terminal):
    warnings.warn("a library's own words")
    return original(terminal)
presets.presets = warned
sys.argv[1:] = ["presets"]
from flows.cli.main import main
main()
"""

WARNS_IN_A_RUN = """
import os, sys, warnings
from pathlib import Path
from flows.process.libraries_log import capture_warnings, libraries_log
capture_warnings()
with libraries_log(Path(sys.argv[1])):
    warnings.warn("a library's own words")
    os.write(2, b"past Python\\n")
    print("ours", file=sys.stderr)
"""


def run_python(
    program: str, *arguments: str, options: tuple[str, ...] = (), **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run a program that must succeed, with a user's environment."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    result = subprocess.run(
        [sys.executable, *options, "-c", program, *arguments],
        env=inherited | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result


@pytest.mark.nights
def test_tensorflow_prints_nothing_in_a_plain_script() -> None:
    result = run_python(STYLIZE)
    assert result.stdout == "1\n"
    assert result.stderr == "ours\n"


@pytest.mark.nights
def test_tensorflow_prints_its_messages_on_request() -> None:
    program = "from nst_core.quiet_tensorflow import tf"
    assert run_python(program, TF_CPP_MIN_LOG_LEVEL="0").stderr


def test_suppressed_messages_are_shown_if_loading_fails() -> None:
    program = """
import os, sys
sys.modules["tensorflow"] = None
from nst_core import quiet_tensorflow
"""
    failed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert failed.returncode == 1
    assert "import of tensorflow halted" in failed.stderr


@pytest.mark.parametrize(("chosen", "expected"), [({}, "1"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "0")])
def test_tensorflow_uses_onednn_unless_the_user_has_decided(
    tmp_path: Path, chosen: dict[str, str], expected: str
) -> None:
    (tmp_path / "tensorflow.py").write_text(
        "import os, types\n"
        "print(os.environ['TF_ENABLE_ONEDNN_OPTS'])\n"
        "config = types.SimpleNamespace(list_physical_devices=list)\n"
    )
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import nst_core.quiet_tensorflow"
    assert run_python(program, **chosen).stdout == f"{expected}\n"


def test_warnings_are_not_printed_by_any_command() -> None:
    assert run_python(WARNS).stderr == ""
    assert "a library's own words" in run_python(WARNS, options=("-Walways",)).stderr


def test_warnings_of_a_run_are_in_its_log(tmp_path: Path) -> None:
    log = tmp_path / "libraries.log"
    assert run_python(WARNS_IN_A_RUN, str(log)).stderr == "ours\n"
    assert "a library's own words" in log.read_text()
    assert "past Python" in log.read_text()
