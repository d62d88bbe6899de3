"""The command line as a user runs it: as a process, with files on disk and a real server."""

import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.browser.conftest import browser, opened
from tests.pictures import write_picture
from tests.servers import Server, clean_environment, copy_migrated, free_port

__all__ = ["Server", "browser", "clean_environment", "free_port", "opened"]
# Under nohup, the programs that tests start would ignore this signal.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
COMMAND = [str(Path(sys.executable).parent / "nst-batch")]
# Adam, because TensorFlow takes four seconds more in each process to trace L-BFGS.
QUICK = ["--size", "32", "--steps", "2", "--octaves", "1", "--optimizer", "adam"]


@dataclass(frozen=True)
class Shell:
    """A folder, and the environment in which `nst-batch` runs there."""

    folder: Path
    environment: dict[str, str] = field(repr=False)
    command: list[str] = field(default_factory=lambda: COMMAND)

    def start(self, *arguments: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*self.command, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def run(self, *arguments: object, timeout: float = 280) -> "subprocess.CompletedProcess[str]":
        with self.start(*arguments) as process:
            output, errors = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def python(self, program: str) -> "subprocess.CompletedProcess[str]":
        """Run a Python program that must succeed."""
        result = subprocess.run(
            [sys.executable, "-P", "-c", program],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result

    def run_and_then(
        self, arguments: list[str], program: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run `nst-batch`, which must succeed, and then a program in the same process."""
        return self.python(
            f"import sys; sys.argv[1:] = {arguments!r}\n"
            "from flows.cli.app import main\n"
            "try: main()\n"
            "except SystemExit as end: assert not end.code, end.code\n" + program
        )

    def picture(self, name: str, seed: int, **shape: int) -> Path:
        return write_picture(self.folder / name, seed, **shape)


OWN_PACKAGES = ("flows", "tasks", "nst_core")
OWN_PACKAGE = "raise ImportError('a package in the current folder was imported')\n"


def write_own_packages(folder: Path) -> None:
    """Write packages of a user that have the names of ours, and fail when they are imported."""
    for package in OWN_PACKAGES:
        (folder / package).mkdir(exist_ok=True)
        (folder / package / "__init__.py").write_text(OWN_PACKAGE)


def make_shell(folder: Path, server_url: str) -> Shell:
    """Return a shell whose runs use a server, in a folder with contents a, b and styles s, t.

    The folder also has packages of the user's own that have the names of ours.
    """
    shell = Shell(folder, clean_environment(folder / "home", PREFECT_API_URL=server_url))
    write_own_packages(folder)
    for seed, name in enumerate(("a.png", "b.png", "s.png", "t.png")):
        shell.picture(name, seed)
    return shell


@pytest.fixture
def shell(tmp_path: Path, server_url: str) -> Shell:
    """Return a shell in its own folder, with the session's server."""
    return make_shell(tmp_path, server_url)


@pytest.fixture
def new_shell(shell: Shell) -> Shell:
    """Return a shell without a server, where no run has ever started its own."""
    environment = {
        name: value for name, value in shell.environment.items() if name != "PREFECT_API_URL"
    }
    return Shell(shell.folder, environment)


@pytest.fixture
def lone_shell(new_shell: Shell, migrated_home: Path) -> Shell:
    """Return a shell without a server, where runs start their own server quickly."""
    copy_migrated(migrated_home, Path(new_shell.environment["PREFECT_HOME"]))
    return new_shell
