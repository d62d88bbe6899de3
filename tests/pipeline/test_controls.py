"""Controls of single rows through the whole flow: what they read, and what they repeat."""

import pandas as pd

from nst_core.images.read import examine
from tasks.report.rebuild import Rebuilder
from tasks.store.provenance import Provenance
from tests.pipeline.conftest import Batch

HEADER = ("content", "style", "output", "init", "color", "color_match", "strength")
ROWS = (
    ("a.png", "s.png", "plain", "", "", "", ""),
    ("a.png", "s.png", "from", "b.png", "", "", ""),
    ("a.png", "s.png", "histogram", "", "", "histogram", ""),
    ("a.png", "s.png", "colored", "", "content", "", "0.5"),
)


def test_a_control_repeats_its_own_row_and_no_style(batch: Batch, computed: list[str]) -> None:
    _, table = batch.run(HEADER, *ROWS)
    assert set(table["status"]) == {"done"}
    assert len({*table["key"]}) == 4
    assert sorted(computed) == ["row"] * 4 + ["style"]
    assert table["init"].fillna("").tolist() == ["", "b.png", "", ""]
    assert table["color"].tolist() == ["match"] * 3 + ["content"]
    computed.clear()
    batch.picture("b.png", 7)
    stronger = (*ROWS[3][:-1], "0.75")
    _, table = batch.run(HEADER, *ROWS[:3], stronger)
    assert table["status"].tolist() == ["cached", "done", "cached", "done"]
    assert set(table["style_targets"]) == {"hit"}
    assert computed == ["row", "row"]


def test_a_row_with_controls_starts_from_its_picture_and_can_be_rebuilt(batch: Batch) -> None:
    _, table = batch.run(HEADER, *ROWS)
    starts = table["start_loss"]
    assert starts[3] != starts[2], "the picture to start from was not used"
    picture = batch.output / "pictures" / "from.png"
    provenance = Provenance.of(picture)
    init = batch.folder / "b.png"
    assert (provenance.init, provenance.init_sha256) == ("b.png", examine(init).sha256)
    rebuilt = [
        Rebuilder(batch.folder).rebuild(path, Provenance.of(path))
        for path in (picture, batch.output / "pictures" / "colored.png")
    ]
    assert [row.lost for row in rebuilt] == [(), ()]
    assert rebuilt[0].cells["init"] == "b.png"
    assert (rebuilt[1].cells["color"], rebuilt[1].cells["strength"]) == ("content", "0.5")
    header = [*dict.fromkeys(name for row in rebuilt for name in row.cells)]
    cells = [[row.cells.get(name, "") for name in header] for row in rebuilt]
    _, again = batch.run(header, *map(tuple, cells), settings={})
    assert again["status"].tolist() == ["cached", "cached"]
    assert not pd.isna(again["picture"]).any()
