"""`nst-batch weights`: what files of ours say about themselves."""

import json
from pathlib import Path

import pytest

from flows.cli.commands.weights import convert, show
from flows.cli.exit_codes import SUCCESS, UNUSABLE
from flows.cli.terminal import Terminal
from nst_core.networks import CATALOGUE
from nst_core.networks.store import WeightStore
from nst_core.networks.weight_files import write_weight_file
from tests.encoders import random_encoder


@pytest.mark.parametrize("note", ["converted_from_rgb", "turned_round_from_rgb"])
def test_a_file_converted_from_rgb_says_so_and_is_not_converted_again(
    note: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Earlier drafts of the program wrote the second of these notes."""
    file = tmp_path / "bgr.safetensors"
    weights = random_encoder(CATALOGUE["alexnet"].topology).weights
    write_weight_file(file, weights, {"network": "alexnet", note: "yes"})
    expected = {"network": "alexnet", "converted_from_rgb": "yes"}

    assert show(Terminal(), file) == SUCCESS
    assert "converted_from_rgb (noted in the file): yes" in capsys.readouterr().out
    assert show(Terminal(as_json=True), file) == SUCCESS
    assert json.loads(capsys.readouterr().out)["notes"] == expected

    store = WeightStore(tmp_path / "weights")
    assert convert(Terminal(), store, file, None, from_rgb=True) == UNUSABLE
    message = "its first layer was already converted from RGB; omit --from-rgb"
    assert message in capsys.readouterr().err
    assert convert(Terminal(as_json=True), store, file, None, from_rgb=False) == SUCCESS
    written = json.loads(capsys.readouterr().out)
    assert written.items() >= (expected | {"source": "bgr.safetensors"}).items()
    assert "turned_round_from_rgb" not in written
