"""The README's Python examples run, each alone."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pictures import write_picture

README = Path(__file__).parents[2] / "README.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S)

RUN_EACH_ALONE = """
import os, runpy, sys
for folder in sys.argv[1:]:
    os.chdir(folder)
    runpy.run_path("example.py", run_name="__main__")
    print("ran", folder)
"""


@pytest.mark.nights
def test_each_python_example_runs_alone_in_a_folder_of_its_own(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(len(EXAMPLES))]
    for folder, example in zip(folders, EXAMPLES, strict=True):
        folder.mkdir()
        write_picture(folder / "content.png", 1, 32, 40)
        write_picture(folder / "style.png", 2, 40, 32)
        (folder / "example.py").write_text(example, "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", RUN_EACH_ALONE, *folders], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("ran ")] == [
        f"ran {folder}" for folder in folders
    ]
    assert (folders[0] / "result.png").exists()


def test_there_are_examples() -> None:
    if not EXAMPLES:
        pytest.fail("no Python example was found in the README")
