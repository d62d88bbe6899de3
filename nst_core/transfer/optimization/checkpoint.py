"""Checkpoints: the state of an unfinished stylization, from which it continues to the same bits.

This module loads no TensorFlow.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

VERSION = 1
"""It changes with whatever a checkpoint contains; checkpoints of other versions are not used."""

FACTS = "facts"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: it is damaged, or belongs to another stylization."""


class NewerCheckpointError(CheckpointError):
    """A checkpoint of a newer version of nst-batch, which that version can still continue from."""


class Totals(NamedTuple):
    """Counts over several octaves, or over both parts of an octave that recovered."""

    steps: int
    evaluations: int
    recoveries: int

    def plus(self, other: "Totals") -> "Totals":
        """Return the sum of these counts and others."""
        return Totals(*(mine + its for mine, its in zip(self, other, strict=True)))


@dataclass(frozen=True)
class Checkpoint:
    """The state of a stylization between two steps.

    Attributes:
        octave: the index of the current octave.
        before: counts of the octaves before it.
        recovered: counts of this octave up to its recovery; zeros if there was none.
        history: the lowest loss so far at each report of this octave since then.
        arrays: the optimizer's tensors, in the order of `tf.nest.flatten`.
    """

    octave: int
    before: Totals
    recovered: Totals
    history: tuple[float, ...]
    arrays: Sequence[NDArray[Any]]

    def to_bytes(self, notes: str = "") -> bytes:
        """Return a safetensors file.

        Args:
            notes: any text that `from_bytes` should return together with the checkpoint.
        """
        return b"".join(self.parts(notes))

    def parts(self, notes: str = "") -> list[bytes | memoryview]:
        """Return the parts of what `to_bytes` returns, which share the memory of the arrays.

        The file is written by hand, because the arrays of large pictures take gigabytes, and
        safetensors copies them twice: the size of a header of JSON in eight bytes, the header, and
        the arrays one after the other.
        """
        facts = {
            "version": VERSION,
            "octave": self.octave,
            "before": self.before,
            "recovered": self.recovered,
            "history": self.history,
            "notes": notes,
            "sha256": _digest(self.arrays),
        }
        text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        arrays = [np.asarray(array, order="C") for array in self.arrays]
        # The arrays come first, so that they are aligned whatever the length of the text.
        named = {**{str(index): array for index, array in enumerate(arrays)}, FACTS: text}
        header, end = {}, 0
        for name, array in named.items():
            begin, end = end, end + array.nbytes
            kind = f"{array.dtype.kind.upper()}{8 * array.itemsize}"
            shape = [*array.shape]
            header[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
        encoded = json.dumps(header).encode()
        encoded += b" " * (-len(encoded) % 8)
        data = [array.reshape(-1).data.cast("B") for array in named.values()]
        return [len(encoded).to_bytes(8, "little"), encoded, *data]

    @classmethod
    def from_bytes(cls, data: bytes) -> "tuple[Checkpoint, str]":
        """Return the checkpoint that `to_bytes` wrote, and the notes.

        Raises:
            CheckpointError: the data is damaged, or of another version (`NewerCheckpointError`).
        """
        try:
            named = safetensors.numpy.load(data)
            facts = json.loads(named.pop(FACTS).tobytes())
            if facts["version"] != VERSION:
                raise _other_version(facts["version"])
            arrays = [named[str(index)] for index in range(len(named))]
            if facts["sha256"] != _digest(arrays):
                raise CheckpointError("its data is not what was written")
            before, recovered = Totals(*facts["before"]), Totals(*facts["recovered"])
            history = tuple(map(float, facts["history"]))
            return cls(int(facts["octave"]), before, recovered, history, arrays), facts["notes"]
        except CheckpointError:
            raise
        except Exception as error:  # safetensors raises errors of its own
            raise CheckpointError(f"not a checkpoint: {error}") from error


def _other_version(found: object) -> CheckpointError:
    if isinstance(found, int) and found > VERSION:
        return NewerCheckpointError(
            f"a newer version of nst-batch wrote it (found format {found}, expected {VERSION})"
        )
    return CheckpointError(f"found version {found!r}, expected {VERSION}")


def _digest(arrays: Sequence[NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
