"""The wheel, which is built from the sdist: nothing is forgotten, and nothing else is in it."""

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("flows", "nst_core", "tasks")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

BUILD = """
import os, sys
from setuptools.build_meta import build_sdist, build_wheel
source, kind, target = sys.argv[1:]
os.chdir(source)
{"sdist": build_sdist, "wheel": build_wheel}[kind](target)
"""

PARTS = {"markupsafe": "jinja2", "pydantic-core": "pydantic"}
"""Distributions that always come with another one."""


def build(source: Path, kind: str, target: Path) -> Path:
    target.mkdir()
    command = [sys.executable, "-P", "-c", BUILD, source, kind, target]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = target.iterdir()
    return built


def files_of(package: str) -> Iterator[str]:
    for path in (ROOT / package).rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(ROOT).as_posix()


def test_the_wheel_has_all_files_of_our_packages_and_no_others(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for package in PACKAGES:
        unneeded = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, source / package, ignore=unneeded)
    (source / "tests").mkdir()
    (source / "tests" / "__init__.py").touch()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    with tarfile.open(build(source, "sdist", tmp_path / "sdist")) as sdist:
        sdist.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    with zipfile.ZipFile(build(unpacked, "wheel", tmp_path / "wheel")) as wheel:
        names = wheel.namelist()
    information = f"nst_batch-{PROJECT['version']}.dist-info/"
    of_packages = {name for name in names if not name.startswith(information)}
    assert of_packages == {name for package in PACKAGES for name in files_of(package)}
    assert {f"{information}METADATA", f"{information}entry_points.txt"} <= set(names)


def imported_by(package: str) -> Iterator[str]:
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Import(names):
                    yield from (each.name.partition(".")[0] for each in names)
                case ast.ImportFrom(module=str(module)):
                    yield module.partition(".")[0]


def distribution(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None
    return found[0].lower().replace("_", "-")


def test_whatever_we_import_is_a_dependency_of_ours() -> None:
    extras = [each for extra in PROJECT["optional-dependencies"].values() for each in extra]
    named = {distribution(each) for each in (*PROJECT["dependencies"], *extras)}
    known = packages_distributions()
    missing = {
        name: known[name]
        for package in PACKAGES
        for name in imported_by(package)
        if name in known
        and name not in PACKAGES
        and not {PARTS.get(one, one) for one in map(distribution, known[name])} & named
    }
    assert missing == {}


def rows_of_extras() -> dict[str, set[str]]:
    """Return the packages that docs/install.md names for each extra."""
    text = (ROOT / "docs" / "install.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text, re.M)
    return {name: set(re.findall(r"`([^`]+)`", packages)) for name, packages in rows}


def test_the_table_of_extras_has_all_of_them_and_what_they_bring() -> None:
    extras = PROJECT["optional-dependencies"]
    brought = {name: {re.split("[<>=]", each)[0] for each in extras[name]} for name in extras}
    assert rows_of_extras() == brought


@pytest.mark.parametrize("name", PROJECT["optional-dependencies"])
def test_what_asks_for_an_extra_names_one_that_there_is(name: str) -> None:
    """The messages and documents that name extras are searched for others."""
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    texts += [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    found = {
        each
        for path in texts
        for names in re.findall(r"(?:nst-batch|\.)\[([a-z0-9,]+)\]", path.read_text("utf-8"))
        for each in names.split(",")
    }
    assert name in found
    assert found <= PROJECT["optional-dependencies"].keys()
