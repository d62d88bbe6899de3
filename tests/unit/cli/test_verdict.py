"""The verdict of `doctor`, for people and for programs."""

from flows.cli.preconditions import Finding
from flows.cli.verdict import verdict_on

GOOD = Finding("python", "ok", "3.11")
ABSENT = Finding("weights of vgg16", "absent", "", "a run downloads them")
DOUBTFUL = Finding("gpu 0: driver", "warning", "the driver is 470", "install a newer one")
BAD = Finding("cache", "error", "the cache is full", "make room there")


def test_a_sound_machine_needs_nothing() -> None:
    verdict = verdict_on([GOOD, ABSENT], "GPU:0 and GPU:1", [Finding("gpu 0: lock", "ok", "free")])
    assert verdict.state == "ok"
    assert verdict.lines() == [
        "What works:",
        "  A run can begin here; its rows run on GPU:0 and GPU:1.",
        "  2 of 2 checks found nothing wrong.",
        "  gpu 0: lock: free",
        "What does not work, or may not:",
        "  Nothing that was checked.",
        "What to do:",
        "  Nothing.",
    ]
    assert verdict.finding() == Finding(
        "verdict",
        "ok",
        "A run can begin here; its rows run on GPU:0 and GPU:1. "
        "2 of 2 checks found nothing wrong. gpu 0: lock: free.",
    )


def test_errors_come_before_warnings_and_decide() -> None:
    verdict = verdict_on([GOOD, DOUBTFUL, BAD], "the CPU")
    assert verdict.state == "error"
    assert verdict.works == ("1 of 3 checks found nothing wrong.",)
    assert verdict.broken == (
        "A run would end before its first row.",
        "cache: the cache is full",
        "gpu 0: driver: the driver is 470",
    )
    assert verdict.to_do == ("cache: make room there", "gpu 0: driver: install a newer one")
    assert verdict.finding().advice == "; ".join(verdict.to_do)


def test_a_warning_does_not_keep_a_run_from_beginning() -> None:
    verdict = verdict_on([GOOD, DOUBTFUL], "the CPU")
    assert verdict.state == "warning"
    assert verdict.works[0] == "A run can begin here; its rows run on the CPU."
