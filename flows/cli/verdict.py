"""The verdict of `doctor`: what works, what does not, and what to do, in plain English."""

from collections.abc import Sequence
from dataclasses import dataclass

from flows.cli.preconditions import Finding


@dataclass(frozen=True)
class Verdict:
    """What all findings mean together.

    Args:
        state: `error` if a run would fail, `warning` if something may be wrong, otherwise `ok`.
        works: what works, in whole sentences.
        broken: what does not work, and then what is doubtful, each with its subject.
        to_do: what to do about each of these.
    """

    state: str
    works: tuple[str, ...]
    broken: tuple[str, ...]
    to_do: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the verdict as lines for people."""
        return [
            "What works:",
            *(f"  {sentence}" for sentence in self.works),
            "What does not work, or may not:",
            *(f"  {sentence}" for sentence in self.broken or ("Nothing that was checked.",)),
            "What to do:",
            *(f"  {sentence}" for sentence in self.to_do or ("Nothing.",)),
        ]

    def finding(self) -> Finding:
        """Return the verdict as the last finding, for programs."""
        found = " ".join(map(_sentence, (*self.works, *self.broken)))
        return Finding("verdict", self.state, found, "; ".join(self.to_do))


def verdict_on(
    findings: Sequence[Finding], devices: str, worth_repeating: Sequence[Finding] = ()
) -> Verdict:
    """Return the verdict on findings.

    Args:
        findings: all findings of `doctor`.
        devices: where rows would run, such as `GPU:0 and GPU:1` or `the CPU`.
        worth_repeating: findings that are repeated even if nothing is wrong with them.
    """
    wrong = [
        finding for state in ("error", "warning") for finding in findings if finding.state == state
    ]
    state = wrong[0].state if wrong else "ok"
    can_begin = state != "error"
    works = (f"A run can begin here; its rows run on {devices}.",) if can_begin else ()
    fails = () if can_begin else ("A run would end before its first row.",)
    also = (
        f"{finding.subject}: {finding.found}"
        for finding in worth_repeating
        if finding.state == "ok"
    )
    right = len(findings) - len(wrong)
    return Verdict(
        state,
        (*works, f"{right} of {len(findings)} checks found nothing wrong.", *also),
        (*fails, *(f"{finding.subject}: {finding.found}" for finding in wrong)),
        tuple(f"{finding.subject}: {finding.advice}" for finding in wrong if finding.advice),
    )


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
