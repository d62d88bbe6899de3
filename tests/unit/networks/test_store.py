"""Where weights are looked for, which are used, and which are refused rather than skipped."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nst_core.networks import CATALOGUE, loading, recognition
from nst_core.networks.catalogue import Network, PublishedFile, by_name
from nst_core.networks.loading import load_encoder, refer_to
from nst_core.networks.recognition import networks_of, the_network_of
from nst_core.networks.store import WeightStore
from nst_core.networks.topology import Convolution, Relu, Topology
from nst_core.networks.weight_files import WeightsError, read_weight_file, write_weight_file
from tests.encoders import random_encoder


def network(name: str, layers: tuple[str, ...], published: PublishedFile | None = None) -> Network:
    taps = tuple(layer for tap in layers for layer in (Convolution(tap, 4), Relu(f"r{tap}")))
    return Network(
        topology=Topology(name, taps),
        content_layers=f"r{layers[0]}",
        style_layers=f"r{layers[0]}",
        file_names=(f"{name}.safetensors", f"{name}_published.h5"),
        published=published,
        advice=f"bring {name}",
    )


PUBLISHED = PublishedFile("http://127.0.0.1:9/deep_published.h5", hashlib.md5(b"").hexdigest(), 7)
FLAT = network("flat", ("conv1_1",))
FLAT_NORMALIZED = network("flat-normalized", ("conv1_1",))
DEEP = network("deep", ("conv1_1", "conv2_1"), PUBLISHED)
NETWORKS = (FLAT, FLAT_NORMALIZED, DEEP)


@pytest.fixture(autouse=True)
def _small_catalogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replace the large networks by three small ones."""
    monkeypatch.delenv("NST_BATCH_WEIGHTS", raising=False)
    known = by_name(CATALOGUE["compact"], *NETWORKS)
    monkeypatch.setattr(loading, "CATALOGUE", known)
    monkeypatch.setattr(recognition, "CATALOGUE", known)
    monkeypatch.setattr(recognition, "CANDIDATES", NETWORKS)
    yield
    loading._encoder.cache_clear()
    loading._weights.cache_clear()


def save(path: Path, of: Network, seed: int = 0, **notes: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_weight_file(path, random_encoder(of.topology, seed).weights, notes)
    return path


@pytest.fixture
def store(tmp_path: Path) -> WeightStore:
    return WeightStore(tmp_path / "weights")


def chosen(store: WeightStore, path: Path) -> WeightStore:
    return replace(store, chosen=path, is_asked_for=True)


def test_files_are_found_by_name_in_order_of_preference(store: WeightStore) -> None:
    assert store.find(FLAT) is None
    second = save(store.folder / "flat_published.h5", FLAT)
    assert store.find(FLAT) == second
    first = save(store.folder / "flat.safetensors", FLAT)
    assert store.find(FLAT) == first
    assert store.find(DEEP) is None


def test_weights_that_the_user_names_take_precedence(store: WeightStore, tmp_path: Path) -> None:
    stored = save(store.folder / "flat.safetensors", FLAT)
    folder = save(tmp_path / "mine" / "flat.safetensors", FLAT).parent
    file = save(tmp_path / "any name", FLAT)
    assert chosen(store, folder).find(FLAT) == folder / "flat.safetensors"
    assert chosen(store, file).find(FLAT) == file
    assert chosen(store, save(tmp_path / "other", DEEP)).find(FLAT) == stored


def test_the_environment_variable_also_names_a_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = save(tmp_path / "any name", FLAT)
    monkeypatch.setenv("NST_BATCH_WEIGHTS", str(file))
    by_variable = WeightStore.of_user(cache=tmp_path)
    assert by_variable == WeightStore(tmp_path / "weights", file)
    # The variable is for all runs, so not every run needs to use it.
    by_variable.check_use([CATALOGUE["compact"]])
    other = WeightStore.of_user(tmp_path / "other", tmp_path)
    assert (other.chosen, other.is_asked_for) == (tmp_path / "other", True)


def test_a_missing_place_is_reported(store: WeightStore, tmp_path: Path) -> None:
    gone = chosen(store, tmp_path / "gone")
    for look in (lambda: gone.find(FLAT), lambda: gone.check_use([CATALOGUE["compact"]])):
        with pytest.raises(WeightsError, match=r"gone.*no such file or folder"):
            look()


def test_a_file_for_no_network_is_refused_not_skipped(store: WeightStore, tmp_path: Path) -> None:
    save(store.folder / "deep.safetensors", DEEP)
    weights = dict(random_encoder(DEEP.topology).weights)
    del weights["conv2_1.bias"]
    write_weight_file(tmp_path / "lacking", weights, {})
    for wanted in (DEEP, FLAT):
        with pytest.raises(WeightsError, match=r"lacks conv2_1\.bias, which deep needs"):
            chosen(store, tmp_path / "lacking").find(wanted)


def test_weights_given_to_a_run_must_fit_its_encoders(store: WeightStore, tmp_path: Path) -> None:
    file, compact = save(tmp_path / "mine", DEEP), CATALOGUE["compact"]
    chosen(store, file).check_use([compact, DEEP])
    with pytest.raises(WeightsError, match=r"contains weights of deep; expected weights of flat"):
        chosen(store, file).check_use([FLAT])
    with pytest.raises(WeightsError, match=r"contains weights of deep; no row needs weights"):
        chosen(store, file).check_use([compact])
    with pytest.raises(
        WeightsError, match=r"none of its files has one of the expected names; .* weights of flat"
    ):
        chosen(store, tmp_path).check_use([FLAT])


def test_normalized_weights_are_recognized_by_their_names_and_notes(tmp_path: Path) -> None:
    def names(path: Path) -> tuple[str, ...]:
        return networks_of(read_weight_file(path))

    assert names(save(tmp_path / "a", FLAT)) == ("flat",)
    assert names(save(tmp_path / "flat-normalized.h5", FLAT)) == ("flat-normalized",)
    assert names(save(tmp_path / "b", FLAT, network="flat-normalized")) == ("flat-normalized",)
    assert names(save(tmp_path / "c", FLAT, network="somebody's own note")) == ("flat",)
    assert names(save(tmp_path / "d", FLAT, network="deep")) == ()
    with pytest.raises(WeightsError, match=r"layers are those of flat, but its notes say .* deep"):
        the_network_of(read_weight_file(tmp_path / "d"))


def test_normalized_weights_under_a_plain_name_are_refused(store: WeightStore) -> None:
    path = save(store.folder / "flat.safetensors", FLAT, network="flat-normalized")
    with pytest.raises(
        WeightsError, match=r"notes say that it is for flat-normalized; expected flat"
    ):
        load_encoder("flat", weights=path)


def test_an_encoder_is_loaded_once_as_long_as_its_file_is_unchanged(store: WeightStore) -> None:
    path = save(store.folder / "flat.safetensors", FLAT)
    first = load_encoder("flat", weights=path)
    assert load_encoder("flat", weights=path) is first
    assert load_encoder("flat", weights=str(path)) is first
    assert load_encoder("flat", weights=str(path.parent)) is first
    save(path, FLAT, seed=1, longer="note")
    assert load_encoder("flat", weights=path).fingerprint != first.fingerprint


def test_a_reference_loads_the_encoder_that_was_referred_to(store: WeightStore) -> None:
    path = save(store.folder / "flat.safetensors", FLAT)
    reference = refer_to("flat", "trained", store)
    encoder = reference.load()
    assert (reference.weights, reference.fingerprint) == (path, encoder.fingerprint)
    assert reference.download is None
    save(path, FLAT, seed=1, longer="note")
    with pytest.raises(WeightsError, match="changed while the batch ran"):
        reference.load()


def test_missing_weights_are_reported_with_all_that_is_needed(store: WeightStore) -> None:
    with pytest.raises(WeightsError) as raised:
        refer_to("flat", "trained", store)
    for part in ("no weights of flat", str(store.folder), "bring flat", "--encoder compact"):
        assert part in str(raised.value)


def test_a_download_is_announced_and_only_made_on_request(store: WeightStore) -> None:
    assert refer_to("deep", "trained", store).download == PUBLISHED
    content = save(store.folder.parent / "source", DEEP).read_bytes()
    fetched = []

    def fetch(published: PublishedFile) -> Path:
        fetched.append(published)
        path = store.folder / published.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    reference = refer_to("deep", "trained", store, fetch)
    assert fetched == [PUBLISHED]
    assert reference.weights == store.folder / PUBLISHED.name
    assert reference.download is None


def test_a_damaged_download_will_be_downloaded_again(store: WeightStore) -> None:
    save(store.folder / PUBLISHED.name, DEEP)
    assert refer_to("deep", "trained", store).download == PUBLISHED


def test_the_users_own_file_is_never_downloaded_again(store: WeightStore, tmp_path: Path) -> None:
    mine = save(tmp_path / "mine" / "deep.safetensors", DEEP)

    def fetch(_: PublishedFile) -> Path:
        raise AssertionError

    assert refer_to("deep", "trained", chosen(store, mine), fetch).weights == mine


def test_pooling_changes_the_encoder_and_not_the_weights(store: WeightStore) -> None:
    path = save(store.folder / "flat.safetensors", FLAT)
    trained, average = (load_encoder("flat", kind, path) for kind in ("trained", "average"))
    assert trained is not average
    for name, array in trained.weights.items():
        assert array is average.weights[name]
        assert np.isfinite(array).all()
