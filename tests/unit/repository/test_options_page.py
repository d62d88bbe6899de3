"""The tables in docs/options.md, which are written from the fields of the request."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from nst_core.transfer.presets import Overrides
from tasks.request import BatchRequest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "options.md"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    path = ROOT / "tools" / "write_options.py"
    specification = importlib.util.spec_from_file_location("write_options", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(tool: ModuleType) -> None:
    page = PAGE.read_text("utf-8")
    assert tool.with_tables(page) == page, "`make docs` writes it again"


def test_old_tables_are_replaced_and_the_text_is_kept(tool: ModuleType) -> None:
    text = "# Options\n\nText.\n\n"
    written = tool.with_tables(f"{text}{tool.MARK}\n## Old\n")
    assert written.startswith(text + tool.MARK)
    assert "## Old" not in written
    with pytest.raises(ValueError, match="found no line"):
        tool.with_tables(text)


def test_every_option_has_a_row_with_limits_and_default(tool: ModuleType) -> None:
    rows = [line for line in tool.with_tables(tool.MARK).splitlines() if line.startswith("| `")]
    assert len(rows) == len(BatchRequest.model_fields) - 1 + len(Overrides.model_fields)
    for expected in (
        "| `MANIFEST` | path or URL | required | CSV file",
        "| `--size` | a whole number from 16 to 8192, or original | 512 | longest side",
        "| `--tolerance` | number, at least 0, below 1 | 0.001 |",
        "| `--save-every` | multiple of 10 above 0 |  | save each unfinished picture",
        "| `--tv-weight` | 0, or a number from 1e-15 to 1e15 | 0.5 |",
        "| `--seed` | whole number, at least 0, below 2147483648 |",
        "| `--beta-2` | number above 0, at most 0.999999 |",
        "| `--max-pixels` | whole number, at least 1 | 200000000 |",
        "| `--runner` | `local`, `ray`, `dask` | local |",
        "| `--strict` | on, off | off |",
        "| `--weights` | path | $NST_BATCH_WEIGHTS |",
    ):
        assert any(row.startswith(expected) for row in rows), expected
