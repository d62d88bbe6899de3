"""How long rows take on this machine: guesses, measurements, and the file that keeps them."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from nst_core.devices import DeviceError
from nst_core.storage.places import place
from nst_core.transfer.settings import Settings
from tasks.job import Job
from tasks.store import row_kinds
from tasks.store.row_kinds import Kind, MeasuredRow, device_kind
from tasks.store.speeds import (
    COMPILATION,
    MOST_KINDS,
    PREPARATION,
    SECONDS_A_MULTIPLICATION,
    Speeds,
)
from tasks.store.style_cache import StyleCache
from tests.jobs import job_of_size

FILE = Path(".nst-batch") / "speeds.json"
RATE = 1e-11


@pytest.fixture(autouse=True)
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of this machine's GPUs, which is empty at first."""
    listed: list[str] = []
    monkeypatch.setattr(row_kinds, "visible_gpus", lambda: tuple(listed))
    return listed


def measured(
    job: Job, rate: float = RATE, *, share: float = 1.0, device: str = "CPU", first: float = 0.0
) -> MeasuredRow:
    """Return a row with a preparation of 2 seconds; `first` are seconds of compilation."""
    work = job.multiplications
    return MeasuredRow(
        kind=Kind.of(job, device, Speeds().host),
        work=work,
        share=share,
        seconds=2 + first + rate * work * share,
        stepping_seconds=rate * work * share / 2,
        stepping_share=share / 2,
        is_first=first > 0,
    )


def test_without_measurements_there_is_a_guess(tmp_path: Path) -> None:
    speeds, job = Speeds.read(StyleCache(tmp_path)), job_of_size()
    guess = PREPARATION + SECONDS_A_MULTIPLICATION * job.multiplications
    assert speeds.seconds(job) == pytest.approx(guess)
    assert speeds.with_guess(1.0).seconds(job) == pytest.approx(PREPARATION + job.multiplications)
    assert speeds.compilation(job) == COMPILATION
    assert not speeds.is_measured(job)
    assert not speeds.knows_device


def test_what_was_measured_is_read_back(tmp_path: Path) -> None:
    job, cache = job_of_size(), StyleCache(tmp_path / "cache")
    Speeds().with_rows([measured(job, first=7), measured(job, first=9), measured(job)]).write(cache)
    speeds = Speeds.read(cache)
    assert speeds.seconds(job) == pytest.approx(2 + RATE * job.multiplications)
    assert speeds.compilation(job) == pytest.approx(8)
    assert speeds.is_measured(job)
    assert not any(tmp_path.joinpath("cache").glob("**/*.part"))


def test_compilation_is_told_from_preparation_even_if_every_row_was_the_first() -> None:
    job = job_of_size()
    speeds = Speeds().with_rows([measured(job, first=7)])
    assert speeds.estimate(job).preparation == PREPARATION
    assert speeds.compilation(job) == pytest.approx(7 + 2 - PREPARATION)


def test_rows_that_stop_early_take_a_share_of_the_time() -> None:
    job = job_of_size(tolerance=1e-3)
    speeds = Speeds().with_rows([measured(job, share=0.4), measured(job, share=0.6)])
    assert speeds.seconds(job) == pytest.approx(2 + RATE * job.multiplications / 2)
    never = job_of_size(tolerance=0)
    assert speeds.seconds(never) == pytest.approx(2 + RATE * never.multiplications)


def test_the_nearest_kind_decides() -> None:
    known = {
        512: job_of_size(512),
        128: job_of_size(128),
        "adam": job_of_size(512, optimizer="adam"),
        "deep": job_of_size(512, encoder="vgg19"),
    }
    rates = dict(zip(known, (1e-11, 2e-11, 3e-11, 4e-11), strict=True))
    speeds = Speeds().with_rows(measured(job, rates[name]) for name, job in known.items())

    def rate(job: Job) -> float:
        return speeds.estimate(job).work / job.multiplications

    assert rate(job_of_size(700)) == pytest.approx(1e-11)
    assert rate(job_of_size(160)) == pytest.approx(2e-11)
    assert rate(job_of_size(64, optimizer="adam")) == pytest.approx(3e-11)
    assert rate(job_of_size(128, encoder="vgg19", style_layers="conv1_1")) == pytest.approx(4e-11)
    assert rate(job_of_size(400, encoder="vgg16")) == pytest.approx(4e-11), "the layers are alike"
    measured_here = [speeds.is_measured(job_of_size(side)) for side in (64, 128, 1024, 2048)]
    assert measured_here == [True, True, True, False]
    assert not speeds.is_measured(job_of_size(512, encoder="vgg16"))


def test_devices_tell_nothing_about_each_other(tmp_path: Path, gpus: list[str]) -> None:
    job, cache = job_of_size(), StyleCache(tmp_path)
    Speeds().with_rows([measured(job, device="GPU")]).write(cache)
    assert not Speeds.read(cache).is_measured(job)
    assert Speeds.read(cache, "gpu:0").is_measured(job)
    gpus += ["0", "1"]
    assert Speeds.read(cache).is_measured(job)
    assert Speeds.read(cache).at_once == 2
    assert not Speeds.read(cache, "cpu").is_measured(job)
    with pytest.raises(DeviceError):
        Speeds.read(cache, "tpu")
    assert device_kind(["GPU:0", "GPU:3"]) == "GPU"
    assert device_kind(["CPU:0", "CPU:1", "GPU:0"]) == "CPU/2+GPU"


def test_rows_on_parts_of_the_cpu_tell_about_each_other(tmp_path: Path) -> None:
    job, cache = job_of_size(), StyleCache(tmp_path)
    Speeds().with_rows([measured(job)]).write(cache)
    halves = Speeds.read(cache, "cpu:0,cpu:1")
    assert halves.seconds(job) == pytest.approx(2 + 2 * RATE * job.multiplications)
    assert not halves.is_measured(job)
    halves.with_rows([measured(job, 3 * RATE, device="CPU/2")]).write(cache)
    halves, whole = Speeds.read(cache, "cpu:0,cpu:1"), Speeds.read(cache)
    assert halves.seconds(job) == pytest.approx(2 + 3 * RATE * job.multiplications)
    assert whole.seconds(job) == pytest.approx(2 + RATE * job.multiplications)
    assert halves.is_measured(job)
    assert whole.is_measured(job)


def test_another_machine_with_the_same_cache_is_only_better_than_nothing() -> None:
    job = job_of_size()
    here = Speeds().with_rows([measured(job)])
    elsewhere = replace(here, host="another")
    assert elsewhere.seconds(job) == here.seconds(job)
    assert not elsewhere.is_measured(job)
    both = elsewhere.with_rows(
        [replace(measured(job, 5 * RATE), kind=Kind.of(job, "CPU", "another"))]
    )
    assert both.seconds(job) > 4 * here.seconds(job) - 8
    assert both.is_measured(job)


def test_newer_rows_count_more_than_old_ones() -> None:
    job, speeds = job_of_size(), Speeds()
    for _ in range(50):
        speeds = speeds.with_rows([measured(job, 1e-10)])
    assert speeds.seconds(job) == pytest.approx(2 + 1e-10 * job.multiplications)
    for _ in range(50):
        speeds = speeds.with_rows([measured(job, RATE)])
    rate = speeds.estimate(job).work / job.multiplications
    assert RATE < rate < 2 * RATE


def test_the_file_stays_small(tmp_path: Path) -> None:
    cache, kinds = StyleCache(tmp_path), [job_of_size(steps=n) for n in range(1, MOST_KINDS + 9)]
    Speeds().with_rows(map(measured, kinds)).write(cache)
    stored = json.loads((tmp_path / FILE).read_text())["measured"]
    steps = [each["kind"]["steps"] for each in stored]
    assert steps == [job.settings.steps for job in kinds[-MOST_KINDS:]], "the oldest are gone"
    assert Speeds.read(cache).is_measured(kinds[-1])


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", '{"version": 2}', '{"measured": [{"rate": -1}]}'),
        *('{"measured": "x"}', "\x00\xff", '{"measured": [{"kind": {"host": "' + "x" * 2000),
    ],
)
def test_a_damaged_file_is_reported_in_one_line_and_replaced(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache, job = StyleCache(tmp_path), job_of_size()
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text(text, encoding="latin-1")
    with caplog.at_level(logging.WARNING):
        speeds = Speeds.read(cache)
    assert not speeds.knows_device
    assert len(caplog.messages) == 1
    assert len(caplog.messages[0].splitlines()) == 1
    speeds.with_rows([measured(job)]).write(cache)
    assert Speeds.read(cache).is_measured(job)


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "mine.json"
    target.write_text("{}")
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).symlink_to(target)
    assert not Speeds.read(StyleCache(tmp_path)).knows_device
    Speeds().with_rows([measured(job_of_size())]).write(StyleCache(tmp_path))
    assert target.read_text() == "{}"


def test_speeds_that_cannot_be_stored_are_reported_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        Speeds().with_rows([measured(job_of_size())]).write(StyleCache(tmp_path / "file"))
    assert len(caplog.messages) == 1
    assert "cannot be stored" in caplog.messages[0]


def test_a_cache_in_object_storage_has_its_speeds_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache, job = StyleCache(place("s3://bucket/cache")), job_of_size()
    Speeds().with_rows([measured(job)]).write(cache)
    assert (tmp_path / "nst-batch" / FILE).is_file()
    assert Speeds.read(cache).is_measured(job)


def test_in_a_batch_each_device_compiles_each_kind_once_and_equal_rows_take_no_time() -> None:
    jobs = [
        *(job_of_size(line=line) for line in (2, 3, 4)),
        job_of_size(line=5, key="row 3"),
        *(job_of_size(512, line=line, optimizer="adam") for line in (6, 7, 8)),
    ]
    estimates = replace(Speeds(), at_once=2).of_batch(jobs)
    assert [each.line for each in estimates] == [2, 3, 4, 6, 7, 8]
    assert [each.compilation for each in estimates] == [*[COMPILATION] * 2, 0.0] * 2
    assert estimates[2].seconds == pytest.approx(Speeds().seconds(jobs[2]))


def test_rows_with_other_style_losses_are_of_another_kind() -> None:
    """Their steps take longer, and devices compile them anew."""
    gram, moments, both = (
        Kind.of(job_of_size(style_measure=measure), "CPU", "host")
        for measure in ("gram", "moments", "gram moments")
    )
    layers = {**Settings().content_layer_weights, **Settings().style_layer_weights}
    assert gram.layers == " ".join(sorted(layers))
    assert len({gram.program, moments.program, both.program}) == 3


def test_rows_of_another_precision_are_of_another_kind() -> None:
    default, *others = (
        Kind.of(job_of_size(precision=precision), "CPU", "host")
        for precision in ("tf32", "float32", "bfloat16")
    )
    assert default == Kind.of(job_of_size(), "CPU", "host")
    assert [kind.layers for kind in others] == [
        f"{default.layers} float32",
        f"{default.layers} bfloat16",
    ]
