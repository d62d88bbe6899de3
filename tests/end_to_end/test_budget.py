"""`nst-batch run --budget`: a run that ends in time, and the next one, which continues."""

import json
from pathlib import Path

import pandas as pd
import pytest

from flows.cli.exit_codes import OUT_OF_TIME
from tests.end_to_end.conftest import Shell
from tests.pictures import write_csv

SETTINGS = ["--size", "32", "--steps", "100", "--octaves", "1", "--tolerance", "0"]
SETTINGS += ["--optimizer", "adam", "--cache", "cache"]
OUT_OF_TIME_IN_THE_FIRST_ROW = """
from pathlib import Path
from tasks.stopping import Deadline
from tasks.store import checkpoints

checkpoints.SHORTEST_ROW = 0
written = Path("out/intermediates/a_s/000020.png")
left = Deadline.seconds_left
Deadline.seconds_left = property(lambda self: -1 if written.exists() else left.fget(self))
"""


def run_until_the_first_row_is_active(shell: Shell) -> tuple[int, str]:
    """Run with `--budget 5h`, whose end comes when the first row has taken some steps."""
    arguments = ["run", "m.csv", "-o", "out", "--budget", "5h", "--save-every", "20", *SETTINGS]
    program = (
        f"{OUT_OF_TIME_IN_THE_FIRST_ROW}\n"
        f"import sys; sys.argv[1:] = {[*arguments, '--json']!r}\n"
        "from flows.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: Path('code').write_text(str(end.code))\n"
    )
    result = shell.python(program)
    return int((shell.folder / "code").read_text()), result.stdout


def files(output: Path) -> dict[str, bytes]:
    """Return the bytes of all pictures and curves, by name."""
    paths = [*output.glob("pictures/*"), *output.glob("losses/*")]
    return {str(path.relative_to(output)): path.read_bytes() for path in paths}


@pytest.mark.nights
def test_a_run_ends_in_time_and_the_next_one_goes_on(shell: Shell) -> None:
    rows = (("a.png", "s.png", ""), ("b.png", "s.png", -1), ("b.png", "t.png", -2))
    write_csv(shell.folder / "m.csv", ("content", "style", "priority"), *rows)
    out = shell.folder / "out"
    code, output = run_until_the_first_row_is_active(shell)
    assert code == OUT_OF_TIME
    result = json.loads(output)
    assert result["counts"] == {"interrupted": 1, "pending": 2}
    assert result["left"]["rows"] == 3
    assert result["left"]["seconds"] > 0
    table = pd.read_csv(out / "summary.csv")
    assert list(table["status"]) == ["interrupted", "pending", "pending"]
    assert "; the next run continues from there; its best picture" in table["error"][0]
    assert len([*(out / ".nst-batch" / "checkpoints").iterdir()]) == 1

    again = shell.run("run", "m.csv", "-o", "out", "--until", "2999-01-01T06:00", *SETTINGS)
    assert again.returncode == 0, again.stderr
    assert set(pd.read_csv(out / "summary.csv")["status"]) == {"done"}
    undisturbed = shell.run("run", "m.csv", "-o", "calm", *SETTINGS)
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert files(out) == files(shell.folder / "calm")

    refused = shell.run("run", "m.csv", "-o", "out", "--budget", "5 hours")
    assert refused.returncode == 2
    assert "--budget: found '5 hours'; expected a duration such as 5h" in refused.stderr
