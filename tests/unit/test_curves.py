"""Loss curves as files."""

from pathlib import Path

import pytest

from tasks.store.curves import CurveError, Point, curve_csv, read_curve

POINTS = [
    Point(1, 32, 24, 0, 1, 1.5, 1 / 3, 1e-7, 0.0),
    Point(2, 64, 48, 70, 81, 0.1, 0.2, 0.3, 12345.678),
]


def test_a_curve_is_read_back_unchanged(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(curve_csv(POINTS))
    assert read_curve(tmp_path / "a.csv") == POINTS


@pytest.mark.parametrize(
    "text",
    ["", "a,b\n1,2\n", "\0", ",".join(Point._fields) + "\n1,2,3\n", "\xff"],
)
def test_a_file_that_is_no_curve_is_reported_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CurveError, match=r"a\.csv: found no loss curve; expected .*total_loss"):
        read_curve(path)
    with pytest.raises(FileNotFoundError):
        read_curve(tmp_path / "none.csv")
