"""Candidates: the settings with which all pairs are rendered, and their names."""

from collections.abc import Iterable
from dataclasses import dataclass

import pydantic

import nst_core as nst
from nst_core.networks.loading import network_named


class CandidateError(ValueError):
    """What is wrong with a candidate, for a developer's eyes."""


@dataclass(frozen=True)
class Candidate:
    """Settings to be looked at.

    Attributes:
        name: of its sheet and its records.
        settings: in which `size` is the longest side of each result, also of small contents.
    """

    name: str
    settings: nst.Settings


def candidate(preset: str, side: int, changes: Iterable[str] = (), name: str = "") -> Candidate:
    """Return a candidate from a preset and changed settings.

    Args:
        preset: one of `nst_core.presets`.
        side: the longest side of results, in pixels.
        changes: texts such as `content_weight=0.15`.
        name: by default, that of the preset, followed by the changes if there are any.

    Raises:
        CandidateError: there is no such preset, or no such setting or value.
    """
    changes = [*changes]
    if preset not in nst.presets:
        raise CandidateError(f"found the preset {preset}, expected one of {', '.join(nst.presets)}")
    wrong = [change for change in changes if "=" not in change]
    if wrong:
        raise CandidateError(f"found {wrong[0]}, expected a setting and its value: NAME=VALUE")
    changed = dict(change.split("=", 1) for change in changes)
    try:
        settings = nst.resolve({"preset": preset, "size": side, "enlarge": True}, changed)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise CandidateError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    try:
        layers = (*settings.content_layer_weights, *settings.style_layer_weights)
        network_named(settings.encoder).topology.check_taps(layers)
    except ValueError as error:
        raise CandidateError(str(error)) from None
    return Candidate(name or file_name(" ".join([preset, *changes])), settings)


def file_name(text: str) -> str:
    """Return a text with nothing in it that is a problem in the names of files."""
    kept = "".join(letter if letter.isalnum() or letter in "._=-" else "-" for letter in text)
    return kept.strip(".-")
