"""The Python examples of the README and of docs/, each run alone."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import nst_core
from tests.pictures import write_picture

ROOT = Path(__file__).parents[3]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def examples_in(document: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", document.read_text("utf-8"), re.M | re.S)


EXAMPLES = [example for document in DOCUMENTS for example in examples_in(document)]

RUN_EACH_ALONE = """
import os, runpy, sys
for folder in sys.argv[1:]:
    os.chdir(folder)
    runpy.run_path("example.py", run_name="__main__")
    print("ran", folder)
"""


@pytest.mark.nights
def test_each_python_example_runs_alone_in_its_own_folder(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(len(EXAMPLES))]
    for folder, example in zip(folders, EXAMPLES, strict=True):
        folder.mkdir()
        write_picture(folder / "content.png", 1, 32, 40)
        write_picture(folder / "style.png", 2, 40, 32)
        write_picture(folder / "style2.png", 3, 32, 32)
        for number in (1, 2):
            write_picture(folder / f"frame{number}.png", number, 32, 40)
        (folder / "example.py").write_text(example, "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", RUN_EACH_ALONE, *folders], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("ran ")] == [
        f"ran {folder}" for folder in folders
    ]
    assert (folders[0] / "result.png").exists()
    for folder, example in zip(folders, EXAMPLES, strict=True):
        for saved in re.findall(r'(?:save|write_whole)\("([^"]+)"', example):
            assert (folder / saved).exists()


@pytest.mark.parametrize("name", ["README.md", "docs/python.md"])
def test_there_are_examples(name: str) -> None:
    if not examples_in(ROOT / name):
        pytest.fail(f"no Python example was found in {name}")


def test_examples_only_use_names_of_the_public_api() -> None:
    used = {name for example in EXAMPLES for name in re.findall(r"\bnst\.(\w+)", example)}
    assert used
    assert used <= set(nst_core.__all__)
