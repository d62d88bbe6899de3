"""Loss curves as files."""

from pathlib import Path

import pytest

from tasks.store import curves
from tasks.store.curves import CurveError, Point, curve_csv, read_curve

COLUMNS = [column for column in curves.COLUMNS if column != "temporal_loss"]
"""The columns of a row that is no frame of a sequence."""

POINTS = [
    Point(1, 32, 24, 0, 1, 1.5, {"content": 1 / 3, "style": 1e-7, "tv": 0.0}),
    Point(2, 64, 48, 70, 81, 0.1, {"content": 0.2, "style": 0.3, "tv": 12345.678}),
]


def test_a_curve_is_read_back_unchanged(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(curve_csv(POINTS))
    assert read_curve(tmp_path / "a.csv") == POINTS


def test_a_file_has_a_column_for_each_term() -> None:
    assert curve_csv(POINTS).decode().splitlines() == [
        "octave,width,height,step,evaluations,total_loss,content_loss,style_loss,tv_loss",
        "1,32,24,0,1,1.5,0.3333333333333333,1e-07,0.0",
        "2,64,48,70,81,0.1,0.2,0.3,12345.678",
    ]


def test_the_curve_of_a_frame_has_the_temporal_loss(tmp_path: Path) -> None:
    losses = {"content": 0.5, "style": 0.25, "tv": 0.0, "temporal": 0.125}
    points = [Point(1, 32, 24, step, step, 1.5, losses) for step in (0, 10)]
    text = curve_csv(points).decode()
    assert text.splitlines()[0] == ",".join([*COLUMNS, "temporal_loss"])
    (tmp_path / "a.csv").write_text(text)
    assert read_curve(tmp_path / "a.csv") == points


@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_curve_without_a_term_that_was_added_later_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    (tmp_path / "a.csv").write_bytes(curve_csv(POINTS))
    terms = list(curves.LOSS_TERMS)
    monkeypatch.setattr(curves, "LOSS_TERMS", (*terms[:place], "edge", *terms[place:]))
    assert read_curve(tmp_path / "a.csv") == POINTS


@pytest.mark.parametrize(
    "text",
    [
        *("", "a,b\n1,2\n", "\0", ",".join(COLUMNS) + "\n1,2,3\n", "\xff"),
        *(",".join((*COLUMNS[:-1], *more)) + "\n" for more in ((), ("edge_loss",))),
        ",".join((*COLUMNS, "edge_loss")) + "\n",
        ",".join(reversed(COLUMNS)) + "\n",
        *(",".join(COLUMNS) + "\n" + ",".join("1" * count) + "\n" for count in (8, 10)),
    ],
)
def test_a_file_that_is_no_curve_is_reported_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CurveError, match=r"a\.csv: found no loss curve; expected .*total_loss"):
        read_curve(path)
    with pytest.raises(FileNotFoundError):
        read_curve(tmp_path / "none.csv")
