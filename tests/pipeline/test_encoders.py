"""Batches with the classic networks: found or downloaded weights, and separate targets."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from nst_core.networks import CATALOGUE
from nst_core.networks.catalogue import PublishedFile
from nst_core.networks.weight_files import write_weight_file
from tests.encoders import random_encoder
from tests.http_server import Answer, serving
from tests.pipeline.conftest import Batch
from tests.weight_files import write_keras_1_hdf5, write_npy

HEADER = ("content", "style", "encoder", "output")
SIZE = {"size": 64, "enlarge": True}


def write_random_weights(batch: Batch, name: str, seed: int = 0) -> Path:
    """Write random weights of a network where the batch looks for them."""
    path = batch.cache / "weights" / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_weight_file(path, random_encoder(CATALOGUE[name].topology, seed).weights, {})
    return path


def test_a_batch_can_use_several_encoders(batch: Batch, computed: list[str]) -> None:
    write_random_weights(batch, "vgg16")
    alexnet = random_encoder(CATALOGUE["alexnet"].topology).weights
    write_npy(batch.cache / "weights" / "bvlc_alexnet.npy", alexnet)
    rows = [
        (f"{content}.png", "s.png", encoder, f"{content}_{encoder}")
        for encoder in ("compact", "vgg16", "alexnet")
        for content in ("a", "b")
    ]
    state, table = batch.run(HEADER, *rows, settings=SIZE)
    assert state.is_completed()
    assert list(table["status"]) == ["done"] * 6
    assert sorted(computed) == ["row"] * 6 + ["style"] * 3
    assert table["encoder_fingerprint"].nunique() == 3
    for encoder, layer in (("compact", "relu1_2"), ("vgg16", "relu5_1"), ("alexnet", "relu5")):
        losses = table.loc[table["encoder"] == encoder, f"relative_loss_{layer}"]
        assert (losses > 0).all()
        assert table.loc[table["encoder"] != encoder, f"relative_loss_{layer}"].isna().all()

    computed.clear()
    again, table = batch.run(HEADER, *rows, settings=SIZE)
    assert again.is_completed()
    assert list(table["status"]) == ["cached"] * 6
    assert computed == []


def test_another_pooling_is_another_encoder(batch: Batch, computed: list[str]) -> None:
    rows = [("a.png", "s.png", "trained"), ("a.png", "s.png", "max"), ("b.png", "s.png", "max")]
    state, table = batch.run(("content", "style", "pooling"), *rows)
    assert state.is_completed()
    assert sorted(computed) == ["row"] * 3 + ["style"] * 2
    assert table["encoder_fingerprint"].nunique() == 2
    assert table["style_loss"].nunique() == 3


def test_a_network_without_weights_is_a_fault_of_its_rows(batch: Batch) -> None:
    rows = [("a.png", "s.png", "alexnet", ""), ("a.png", "s.png", "compact", "")]
    state, table = batch.run(HEADER, *rows)
    assert state.name == "SomeRowsFailed"
    assert list(table["status"]) == ["invalid", "done"]
    error = table["error"][2]
    for part in ("line 2, column encoder", "no weights of alexnet", "bvlc_alexnet.npy"):
        assert part in error
    assert str(batch.cache / "weights") in error
    assert "--encoder compact" in error


@pytest.mark.nights
def test_changed_weights_rerun_the_rows_of_their_network(batch: Batch, computed: list[str]) -> None:
    rows = [("a.png", "s.png", "vgg16", ""), ("a.png", "s.png", "compact", "")]
    write_random_weights(batch, "vgg16", seed=0)
    _, before = batch.run(HEADER, *rows, settings=SIZE)
    write_random_weights(batch, "vgg16", seed=1)
    computed.clear()
    _, after = batch.run(HEADER, *rows, settings=SIZE)
    assert list(after["status"]) == ["done", "cached"]
    assert sorted(computed) == ["row", "style"]
    assert before["style_loss"][2] != after["style_loss"][2]


@pytest.mark.nights
def test_weights_that_the_user_names_take_precedence_over_cached_ones(
    batch: Batch, tmp_path: Path
) -> None:
    write_random_weights(batch, "vgg16", seed=0)
    named = write_random_weights(replace(batch, folder=tmp_path / "elsewhere"), "vgg16", seed=1)
    rows = [("a.png", "s.png", "vgg16", "")]
    _, cached = batch.run(HEADER, *rows, settings=SIZE)
    _, chosen = batch.run(HEADER, *rows, settings=SIZE, weights=named)
    _, folder = batch.run(HEADER, *rows, settings=SIZE, weights=named.parent)
    assert cached["encoder_fingerprint"][2] != chosen["encoder_fingerprint"][2]
    assert chosen["encoder_fingerprint"][2] == folder["encoder_fingerprint"][2]
    assert folder["status"][2] == "cached"


def test_damaged_weights_are_reported_before_anything_runs(batch: Batch) -> None:
    path = write_random_weights(batch, "vgg16")
    path.write_bytes(path.read_bytes()[:10_000])
    state, table = batch.run(HEADER, ("a.png", "s.png", "vgg16", ""), settings=SIZE)
    assert state.name == "AllRowsFailed"
    assert table["status"][2] == "invalid"
    assert str(path) in table["error"][2]


@pytest.mark.nights
@pytest.mark.parametrize(
    "name",
    [
        "article",
        *(pytest.param(each, marks=pytest.mark.torture) for each in ("gatys", "neural-style")),
    ],
)
def test_published_recipes_run(batch: Batch, name: str) -> None:
    encoder = {"article": "vgg16", "gatys": "vgg19-normalized", "neural-style": "vgg19"}[name]
    write_random_weights(batch, encoder)
    choices = {"preset": name, "size": 48, "enlarge": True, "steps": 20}
    state, table = batch.run(("content", "style"), ("a.png", "s.png"), settings=choices)
    assert state.is_completed()
    row = table.loc[2]
    settings = {"normalization": name, "encoder": encoder, "octaves": 1}
    assert {key: row[key] for key in settings} == settings
    weights = (row["content_weight"], row["style_weight"], row["tv_weight"])
    losses = (row["content_loss"], row["style_loss"], row["tv_loss"])
    total = sum(weight * loss for weight, loss in zip(weights, losses, strict=True))
    assert row["total_loss"] == pytest.approx(total, rel=1e-4)
    assert row["total_loss"] < row["start_loss"]


@pytest.mark.nights
def test_published_weights_are_downloaded_once_before_the_rows(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    network = CATALOGUE["vgg16"]
    assert network.published is not None
    monkeypatch.delenv("NST_BATCH_MIRROR", raising=False)
    weights = random_encoder(network.topology).weights
    content = write_keras_1_hdf5(tmp_path / "file.h5", weights).read_bytes()
    rows = [("a.png", "s.png", "vgg16", ""), ("b.png", "s.png", "vgg16", "")]
    with serving(Answer(content)) as server:
        published = PublishedFile(
            url=f"{server.url}/{network.published.name}",
            md5=hashlib.md5(content).hexdigest(),
            size=len(content),
        )
        monkeypatch.setitem(CATALOGUE, "vgg16", replace(network, published=published))
        first, _ = batch.run(HEADER, *rows, settings=SIZE)
        second, table = batch.run(HEADER, *rows, settings=SIZE)
        assert server.requests == [f"/{published.name}"]
    assert first.is_completed()
    assert second.is_completed()
    assert list(table["status"]) == ["cached", "cached"]
    downloaded = batch.cache / "weights" / published.name
    assert downloaded.read_bytes() == content

    downloaded.write_bytes(content[:-1])
    with serving(Answer(b"no weights", status=404)) as server:
        gone = replace(published, url=f"{server.url}/{published.name}")
        monkeypatch.setitem(CATALOGUE, "vgg16", replace(network, published=gone))
        state, table = batch.run(HEADER, *rows, settings=SIZE)
    assert state.name == "AllRowsFailed"
    error = table["error"][2]
    for part in (published.md5, "404", "--encoder compact", str(downloaded.parent)):
        assert part in error
