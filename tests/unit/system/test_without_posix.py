"""Everything of ours can be imported, and works, where Python has no modules of POSIX.

This does not show that it works on Windows, which differs in more.
"""

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nst_core.system import posix, windows
from tests.pictures import write_picture
from tests.without_posix.posix_only import MODULES, NAMES

ROOT = Path(__file__).parents[3]
MODULES_OF_OURS = sorted(
    path for package in ("nst_core", "tasks", "flows") for path in (ROOT / package).rglob("*.py")
)
POSIX = ROOT / "nst_core" / "system" / "posix.py"
LACKING = {f"{module}.{name}" for module, names in NAMES.items() for name in names.split()}


def without_posix(*command: object, folder: Path) -> str:
    """Run a command where the modules of POSIX are hidden from ours, and return its output."""
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'tests' / 'without_posix'}:{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def public_functions(module: object) -> dict[str, str]:
    functions = inspect.getmembers(module, inspect.isfunction)
    return {name: str(inspect.signature(each)) for name, each in functions if name[0] != "_"}


def test_both_kinds_of_systems_have_the_same_functions_and_constants() -> None:
    assert public_functions(posix) == public_functions(windows)
    for name in ("AT_ONCE", "CAN_RENAME_OPEN_FILES", "STOP_SIGNALS", "USUAL_LOCKS"):
        assert type(getattr(posix, name)) is type(getattr(windows, name))


@pytest.mark.parametrize("path", MODULES_OF_OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_one_module_uses_what_windows_lacks(path: Path) -> None:
    used = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names):
                used |= {each.name for each in names} & MODULES
            case ast.ImportFrom(module=str(module)):
                used |= {module} & MODULES
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                used |= {f"{module}.{name}"} & LACKING
    assert not used or path == POSIX


IMPORT_ALL = """
import importlib, pkgutil
import flows, nst_core, nst_core.system, tasks
assert nst_core.system.try_lock.__module__ == "nst_core.system.windows"
for package in (flows, nst_core, tasks):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        # This module is what the others do without.
        if found.name != "nst_core.system.posix":
            importlib.import_module(found.name)
            print(found.name)
"""


def test_every_module_can_be_imported(tmp_path: Path) -> None:
    names = without_posix("-c", IMPORT_ALL, folder=tmp_path).split()
    assert len(names) > 350
    assert {"flows.cli.main", "nst_core.devices.processes", "tasks.stylize"} <= set(names)


HOLD = """
import sys, time
from pathlib import Path
from nst_core.storage.locks import flock
print("in use" if flock(Path(sys.argv[1]), timeout=0) is None else "held", flush=True)
time.sleep(60)
"""

LOCKS = f"""
import os, subprocess, sys
from pathlib import Path
from nst_core.storage.locks import LockError, flock, locked, shared_lock

HOLD = {HOLD!r}

def in_another_process():
    command = [sys.executable, "-c", HOLD, "lock"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()

path = Path("lock")
with locked(path):
    assert flock(path, timeout=0) is None
    assert flock(path, timeout=0, together=True) is None
    other, said = in_another_process()
    assert said == "in use", said
    other.kill()
    other.wait()
other, said = in_another_process()
assert said == "held", said
assert flock(path, timeout=0.2) is None
other.kill()
other.wait()
first, second = flock(path, timeout=0, together=True), flock(path, timeout=0, together=True)
assert None not in (first, second)
assert flock(path, timeout=0) is None
os.close(first)
assert flock(path, timeout=0) is None
os.close(second)
os.close(flock(path, timeout=0))
Path("victim").touch()
for target in ("victim", "not there"):
    link = Path("link to " + target)
    link.symlink_to(target)
    try:
        flock(link, timeout=0)
    except LockError as error:
        assert "found a symbolic link" in str(error), error
    else:
        raise AssertionError("a link was followed")
assert not Path("not there").exists()
assert shared_lock("GPU0").name == "nst-batch-GPU0.lock"
print("locked")
"""


def test_locks_exclude_other_processes_and_end_with_their_holder(tmp_path: Path) -> None:
    assert without_posix("-c", LOCKS, folder=tmp_path) == "locked\n"


FILES = """
import os
from pathlib import Path
from nst_core.devices.free_memory import free_on_cpu
from nst_core.devices.memory import peak_resident_memory, resident_memory
from nst_core.storage.files import make_durable, read_whole, write_atomic
from nst_core.storage.growing_files import growing_file
from nst_core.storage.held_files import create_held, is_held, part_name
from nst_core.storage.held_files import remove_unless_held, sweep_parts
from nst_core.storage.local import free_bytes, path_limits
from nst_core.storage.write_errors import reason
from tasks.store.file_reference import FileReference, RecordError
from tasks.store.output_folder import InUseError, OutputFolder

write_atomic("deep/folder/file", b"one\\n")
write_atomic("deep/folder/file", b"two\\r\\n")
make_durable(Path("deep/folder/file").absolute())
assert read_whole(Path("deep/folder/file")) == b"two\\r\\n"
assert os.listdir("deep/folder") == ["file"]

path, descriptor = create_held(lambda: Path("held"))
os.write(descriptor, b"data\\n")
assert path.read_bytes() == b"data\\n"
assert is_held(path) and not remove_unless_held(path)
os.close(descriptor)
assert remove_unless_held(path) and not path.exists()

new, old = Path(part_name("new")), Path(part_name("old"))
for part in (new, old):
    part.write_bytes(b"half")
os.utime(old, (0, 0))
assert sweep_parts([Path()]) == [old]
new.unlink()

log = growing_file(Path("log"), most=10)
for text in ("first\\n", "second\\n"):
    log.append(text)
log.save()
log.close()
assert (Path("log").read_text(), Path("log.1").read_text()) == ("second\\n", "first\\n")

kept = FileReference.write(Path("picture"), b"pixels")
assert kept.verify() == kept
Path("picture").write_bytes(b"others")
try:
    kept.verify()
except RecordError:
    pass
else:
    raise AssertionError("a changed file was not noticed")

assert 0 < free_bytes(Path()) < 1e18
assert path_limits(Path()) == (259, 255)
assert "is not writable by" in reason(PermissionError(13, "no"), "the output folder", Path())
assert min(free_on_cpu(), peak_resident_memory(), resident_memory()) > 1e6

folder = OutputFolder(Path("results"))
Path("results/.nst-batch").mkdir(parents=True)
with folder.lock():
    try:
        with folder.lock():
            raise AssertionError("two runs write to one folder")
    except InUseError as error:
        print(error)
"""


def test_files_records_and_memory(tmp_path: Path) -> None:
    assert "results" in without_posix("-c", FILES, folder=tmp_path)


STYLIZE = """
import nst_core as nst
content, style = nst.load("content.png", size=32), nst.load("style.png", size=32)
settings = nst.resolve({"steps": 2, "octaves": 1, "optimizer": "adam"})
nst.stylize(content, style, settings).save("result.png")
"""


def test_a_picture_is_made(tmp_path: Path) -> None:
    write_picture(tmp_path / "content.png", 1, 32, 40)
    write_picture(tmp_path / "style.png", 2, 40, 32)
    without_posix("-c", STYLIZE, folder=tmp_path)
    assert (tmp_path / "result.png").read_bytes().startswith(b"\x89PNG")


def test_the_commands_that_need_no_server(tmp_path: Path) -> None:
    write_picture(tmp_path / "content.png", 1, 32, 40)
    write_picture(tmp_path / "style.png", 2, 40, 32)
    (tmp_path / "m.csv").write_text("content,style,output\ncontent.png,style.png,deep\\one\n")
    command = Path(sys.executable).with_name("nst-batch")
    assert "Usage: nst-batch COMMAND" in without_posix(command, "--help", folder=tmp_path)
    assert "1 row" in without_posix(command, "check", "m.csv", folder=tmp_path)
    planned = without_posix(command, "plan", "m.csv", "--output", "out", "--rows", folder=tmp_path)
    assert "deep/one.png" in planned
