"""Checkpoints and tables of a newer version, after a return to this one."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from nst_core.transfer.optimization.checkpoint import (
    Checkpoint,
    CheckpointError,
    NewerCheckpointError,
)
from tasks.report.finding import NoResultsError, table_of
from tasks.report.saved_table import NewerTableError, read_summary
from tasks.report.table import frame_of
from tasks.report.table_row import Table, TableRow
from tasks.report.write import _earlier_table
from tasks.store.checkpoints import Checkpoints
from tasks.store.output_folder import OutputFolder
from tests.tables import write_frame


def of_version(version: object) -> bytes:
    """Return a checkpoint of another version, whose arrays have other names."""
    facts = np.frombuffer(json.dumps({"version": version}).encode(), np.uint8)
    return safetensors.numpy.save({"facts": facts, "pixels": np.zeros(3)})


def test_a_checkpoint_of_a_newer_version_is_said_to_be_newer() -> None:
    with pytest.raises(NewerCheckpointError, match="a newer version of nst-batch wrote it"):
        Checkpoint.from_bytes(of_version(2))
    for other in (0, "2", None):
        with pytest.raises(CheckpointError, match=r"found version .*, expected 1"):
            Checkpoint.from_bytes(of_version(other))


def test_a_checkpoint_of_a_newer_version_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / ("a" * 64)
    path.write_bytes(of_version(2))
    checkpoints = Checkpoints.of_row(path, b"targets", every=1)
    assert checkpoints.read() is None
    (message,) = caplog.messages
    assert "a newer version of nst-batch wrote it" in message
    assert message.endswith("it is kept, and the row gets no checkpoints of this version")
    assert not checkpoints.is_worth_it(1e6)
    assert not checkpoints.is_due(1e6)
    assert path.read_bytes() == of_version(2)


def test_a_damaged_checkpoint_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 64)
    path.write_bytes(b"damaged")
    checkpoints = Checkpoints.of_row(path, b"targets", every=1)
    assert checkpoints.read() is None
    assert checkpoints.is_worth_it(1e6)


def test_a_table_of_a_newer_version_is_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = OutputFolder(tmp_path)
    frame = frame_of(Table((TableRow(line=2, status="done"),)))
    for version in (None, 1):
        frame.attrs = {"version": version} if version else {}
        write_frame(frame, tmp_path)
        assert len(read_summary(output).rows) == 1
    frame.attrs = {"version": 2}
    write_frame(frame, tmp_path)
    with pytest.raises(NewerTableError):
        read_summary(output)
    with pytest.raises(NoResultsError, match="a newer version of nst-batch wrote this table"):
        table_of(output)
    assert _earlier_table(output) is None
    assert "a newer version of nst-batch wrote this table" in caplog.text
