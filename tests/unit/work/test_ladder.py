"""The ladder of a row that needs more memory than there is."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf

from nst_core.devices import ProcessKilledError
from nst_core.devices.free_memory import Reservation
from nst_core.errors import UserError
from nst_core.transfer.octaves import octave_shapes, style_sides, without_finest
from nst_core.transfer.settings import Settings
from nst_core.transfer.tiles.grid import Tiles
from tasks.job import Job, JobContent, JobMask, PreviousFrame
from tasks.work import ladder
from tasks.work.ladder import (
    NotEnoughMemoryError,
    Rung,
    largest_size,
    needed_memory,
    rungs,
    within_memory,
)

SETTINGS = Settings(size=1536, octaves=2)


def job(
    settings: Settings = SETTINGS,
    shape: tuple[int, int] = (2000, 3000),
    mask: JobMask = JobMask(),  # noqa: B008 - frozen
) -> Job:
    content = JobContent(place=Path("c.png"), sha256="c", shape=shape, mask=mask)
    return Job.model_construct(output="a.png", settings=settings, content=content)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return a machine whose free memory a test may change; a row needs a byte for each pixel.

    Rematerialization saves a quarter. `held` is the memory that is reserved.
    """
    system = SimpleNamespace(free=1 << 40, held=0)

    def peak(_: Any, __: Any, shape: tuple[int, int], *, rematerialize: bool, **___: Any) -> int:
        return shape[0] * shape[1] * (3 if rematerialize else 4) // 4

    @contextmanager
    def reserved(_: str, sizes: Sequence[int], **__: bool) -> Iterator[Reservation]:
        fitting = (n for n, size in enumerate(sizes) if system.free is None or size <= system.free)
        choice = next(fitting, None)
        system.held = 0 if choice is None else sizes[choice]
        yield Reservation(choice, system.free)
        system.held = 0

    monkeypatch.setattr(ladder, "peak_memory", peak)
    monkeypatch.setattr(ladder, "reserved_memory", reserved)
    return system


def failing(times: int, error: BaseException) -> tuple[list[Rung], Callable[[Rung], Rung]]:
    """Return a list of the rungs tried, and a row that fails this often before it succeeds."""
    tried: list[Rung] = []

    def run(rung: Rung) -> Rung:
        tried.append(rung)
        if len(tried) <= times:
            raise error
        return rung

    return tried, run


def test_each_rung_says_what_it_does_and_needs_less_than_the_one_before() -> None:
    asked = job()
    ladder = [*rungs(asked)]
    assert [rung.degraded(asked) for rung in ladder[:7]] == [
        "",
        "rematerialization",
        "tiles",
        "tiles and 3 instead of 10 steps in L-BFGS's memory",
        # At this size, the whole picture would need more than tiles do at the size asked for.
        "rematerialization, 768 x 512 instead of 1536 x 1024",
        "384 x 256 instead of 1536 x 1024",
        "rematerialization, 384 x 256 instead of 1536 x 1024",
    ]
    for device in ("CPU:0", "GPU:0"):
        needed = [needed_memory(asked, device, rung) for rung in rungs(asked, device)]
        assert needed == sorted(needed, reverse=True)
        # A GPU holds no whole pictures with tiles, so L-BFGS's memory is not in its own.
        assert len({*needed}) == len(needed) - (device == "GPU:0")


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({"optimizer": "adam"}, [Tiles()]),
        ({"optimizer": "lbfgs"}, [Tiles(), Tiles(pairs=3)]),
        ({"style_measure": "sliced"}, []),
        ({"content_measure": "self-similarity"}, []),
        ({"size": 800}, []),
    ],
)
def test_large_rows_are_tiled_if_their_losses_allow_it(
    choices: dict[str, Any], expected: list[Tiles]
) -> None:
    asked = job(Settings(**{"size": 1536, "octaves": 2, **choices}))
    assert [rung.tiles for rung in rungs(asked) if rung.tiles] == expected


def test_frames_that_follow_another_one_and_masked_rows_are_not_tiled() -> None:
    """Neither the temporal loss nor regions are computed tile by tile."""
    before = PreviousFrame(line=2, key="k", output="w1.png", content=job().content)
    unweighted = job(SETTINGS.model_copy(update={"temporal_weight": 0.0}))
    assert any(rung.tiles for rung in rungs(unweighted.model_copy(update={"previous": before})))
    for asked in (job().model_copy(update={"previous": before}), job(mask=JobMask(regions=1))):
        assert [rung.degraded(asked) for rung in rungs(asked)][:3] == [
            "",
            "rematerialization",
            "768 x 512 instead of 1536 x 1024",
        ]
        for rung in rungs(asked):
            assert needed_memory(asked, "CPU:0", rung) > needed_memory(job(), "CPU:0", rung)


def test_a_large_row_keeps_its_size_as_long_as_tiles_fit() -> None:
    asked = job(Settings(size=8192), (8192, 8192))
    needed = [needed_memory(asked, "CPU:0", rung) for rung in rungs(asked)]
    assert needed == sorted(needed, reverse=True)
    full = [rung for rung in rungs(asked) if not rung.left_out]
    assert [*rungs(asked)][: len(full)] == full
    assert full[-1].tiles == Tiles(pairs=3)


def test_the_ladder_ends_at_the_smallest_picture_of_the_encoder() -> None:
    *_, last = rungs(job())
    assert (last.shape(job()), last.rematerialize) == ((16, 24), True)
    shallow = Settings(size=64, style_layers="relu1_1", content_layers="relu1_1")
    *_, last = rungs(job(shallow, (64, 64)))
    assert last.shape(job(shallow, (64, 64))) == (2, 2)
    small = Settings(size=16)
    assert [*rungs(job(small, (4, 4)))] == [Rung(), Rung(rematerialize=True)]


@pytest.mark.parametrize("shape", [(2000, 3000), (300, 200), (1001, 777)])
@pytest.mark.parametrize("enlarge", [True, False])
def test_a_smaller_result_has_the_coarser_octaves_of_the_whole(
    shape: tuple[int, int], enlarge: bool
) -> None:
    settings = Settings(size=1000, octaves=3, enlarge=enlarge)
    asked = job(settings, shape)
    whole = octave_shapes(*asked.shape, 3)
    for left_out in (1, 2):
        rung = Rung(left_out)
        smaller = octave_shapes(*rung.shape(asked), rung.settings(asked).octaves)
        assert [*smaller] == [*whole][: 3 - left_out]
        for index, (height, width) in smaller.items():
            assert height == pytest.approx(whole[index][0], abs=1)
            assert width == pytest.approx(whole[index][1], abs=1)
    assert without_finest(settings, asked.shape, 0) is settings
    assert without_finest(settings, asked.shape, 5).octaves == 1


def test_the_style_is_as_large_as_in_the_octave_that_is_left() -> None:
    settings = Settings(size=1000, octaves=3)
    for left_out in (1, 2):
        smaller = settings.model_copy(update={"size": 1000 // 2**left_out, "octaves": 3 - left_out})
        assert style_sides(smaller) == style_sides(settings)[: 3 - left_out]


@pytest.mark.parametrize(
    ("free", "rung"),
    [
        (None, Rung()),
        (1536 * 1024, Rung()),
        (1536 * 1024 - 1, Rung(rematerialize=True)),
        (1536 * 768 - 1, Rung(1)),
        (768 * 512 - 1, Rung(1, rematerialize=True)),
        (24 * 12, Rung(6, rematerialize=True)),
    ],
)
def test_a_row_begins_on_the_first_rung_that_fits(
    machine: SimpleNamespace, free: int | None, rung: Rung
) -> None:
    machine.free = free
    tried, run = failing(0, MemoryError())
    assert within_memory(job(), "CPU:0", run) == rung
    assert tried == [rung]
    assert machine.held == 0


@pytest.mark.parametrize(
    "error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM")]
)
def test_an_allocation_failure_leads_to_the_next_rung(
    machine: SimpleNamespace, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    machine.free = 1536 * 1024 - 1
    tried, run = failing(2, error)
    assert within_memory(job(), "CPU:0", run) == Rung(1, rematerialize=True)
    assert tried == [Rung(rematerialize=True), Rung(1), Rung(1, rematerialize=True)]
    said = caplog.text
    assert "a.png: memory cannot be allocated: " in said
    assert "a.png: degraded for lack of memory (2 MB are free): 768 x 512 instead of" in said


KILLED = ProcessKilledError("the process of CPU:0 was killed by signal 9, probably because")


@pytest.mark.usefixtures("machine")
def test_a_killed_process_leads_to_the_next_rung(caplog: pytest.LogCaptureFixture) -> None:
    tried, run = failing(1, KILLED)
    assert within_memory(job(), "CPU:0", run, isolated=True) == Rung(rematerialize=True)
    assert tried == [Rung(), Rung(rematerialize=True)]
    assert f"a.png: {KILLED.found}" in caplog.text


@pytest.mark.usefixtures("machine")
def test_with_strict_a_row_whose_process_is_killed_fails_and_says_so() -> None:
    tried, run = failing(1, KILLED)
    said = f"found that {KILLED.found}, although 1099512 MB seemed to be free; lower size"
    with pytest.raises(NotEnoughMemoryError, match=said):
        within_memory(job(), "CPU:0", run, strict=True, isolated=True)
    assert tried == [Rung()]


@pytest.mark.parametrize("isolated", [True, False])
def test_memory_is_reserved_where_the_row_runs(
    monkeypatch: pytest.MonkeyPatch, isolated: bool
) -> None:
    asked = []

    @contextmanager
    def reserved(
        _: str, __: Sequence[int], *, isolated: bool, **___: bool
    ) -> Iterator[Reservation]:
        asked.append(isolated)
        yield Reservation(0, None)

    monkeypatch.setattr(ladder, "reserved_memory", reserved)
    within_memory(job(), "CPU:0", failing(0, KILLED)[1], isolated=isolated)
    assert asked == [isolated]


@pytest.mark.usefixtures("machine")
def test_other_errors_are_raised() -> None:
    tried, run = failing(1, ValueError("out of memory"))
    with pytest.raises(ValueError, match="out of memory"):
        within_memory(job(), "CPU:0", run)
    assert tried == [Rung()]


@pytest.mark.usefixtures("machine")
def test_what_a_failed_rung_held_is_freed_before_the_next() -> None:
    class Held:
        def __del__(self) -> None:
            events.append("freed")

    events: list[str] = []

    def run(rung: Rung) -> Rung:
        held = Held()
        held.itself = held  # type: ignore[attr-defined]
        events.append(rung.degraded(job()))
        if not rung.left_out:
            raise MemoryError
        return rung

    within_memory(job(), "CPU:0", run)
    assert events[:4] == ["", "freed", "rematerialization", "freed"]


@pytest.mark.parametrize("strict", [True, False])
def test_a_row_that_fits_on_no_rung_fails_with_the_size_that_would_fit(
    machine: SimpleNamespace, strict: bool
) -> None:
    machine.free = 1_000_000 if strict else 100
    tried, run = failing(0, MemoryError())
    with pytest.raises(NotEnoughMemoryError) as raised:
        within_memory(job(), "CPU:0", run, strict=strict)
    assert tried == []
    error = raised.value
    assert isinstance(error, UserError)
    assert isinstance(error, MemoryError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    if strict:
        assert str(error) == (
            "memory: found 1 MB free, expected about 2 MB for 1536 x 1024 pixels; lower size to "
            "1224, which would fit, run the batch without strict, or end other programs on CPU:0"
        )
    else:
        assert "found 0 MB free, expected about 2 MB for 1536 x 1024 pixels; no size " in str(error)


def test_with_strict_an_allocation_failure_is_the_end(machine: SimpleNamespace) -> None:
    tried, run = failing(9, MemoryError())
    with pytest.raises(NotEnoughMemoryError, match="although 1099512 MB seemed to be free; lower"):
        within_memory(job(), "CPU:0", run, strict=True)
    machine.free = None
    with pytest.raises(NotEnoughMemoryError, match="found that it cannot be allocated; lower size"):
        within_memory(job(), "GPU:0", run, strict=True)
    assert tried == [Rung(), Rung()]


@pytest.mark.usefixtures("machine")
def test_the_largest_size_just_fits() -> None:
    square = job(SETTINGS, (2000, 2000))
    assert largest_size(square, "CPU:0", 100**2) == 100
    assert largest_size(square, "CPU:0", 101**2 - 1) == 100
    assert largest_size(square, "CPU:0", 16**2) == 16
    assert largest_size(square, "CPU:0", 16**2 - 1) is None


def test_the_file_of_an_enlarged_result_counts_on_every_rung() -> None:
    plain, enlarged = (
        job(Settings(size=256, octaves=2, depth=16, enlarge_result=wanted))
        for wanted in (False, True)
    )
    for rung in (Rung(), Rung(left_out=1)):
        found = [needed_memory(each, "CPU:0", rung) for each in (plain, enlarged)]
        assert found[0] < 400e6 < 600e6 < found[1], "with 360 MB for the file of 6 megapixels"
    assert needed_memory(enlarged, "GPU:0") == needed_memory(plain, "GPU:0")
