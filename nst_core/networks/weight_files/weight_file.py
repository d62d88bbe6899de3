"""The contents of a weight file of any format, and the error for everything about weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from nst_core.errors import UserError


class WeightsError(UserError):
    """Weights cannot be obtained or used; the message says what to do."""


@dataclass(frozen=True, eq=False)
class WeightFile:
    """The convolutions in a file.

    Attributes:
        format: the name of the format, for messages.
        arrays: `conv1_1.weight`, `conv1_1.bias` or `conv1.weight` ..., in the order of layers, with
            their type in the file; anything that is not a convolution is left out.
        notes: text that the program that wrote the file added; only safetensors files have notes.
    """

    path: Path
    format: str
    arrays: Mapping[str, NDArray[Any]]
    notes: Mapping[str, str] = field(default_factory=dict)
