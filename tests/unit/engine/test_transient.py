"""Which failures may pass, so that a row is tried again."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from nst_core.devices import DeviceError, DeviceFailedError
from nst_core.images.picture_files import PictureError
from nst_core.networks.weight_files import WeightsError
from nst_core.quiet_tensorflow import tf
from nst_core.storage.files import StorageError
from nst_core.storage.locks import LockError
from nst_core.storage.write_errors import WriteError, writing_to
from nst_core.transfer.optimization.checkpoint import CheckpointError
from tasks.engine.transient import is_transient
from tasks.stopping import StoppedError
from tasks.store.file_reference import RecordError


def system_error(number: int) -> OSError:
    return OSError(number, os.strerror(number), "/out/pictures/a.png")


def picture_error(cause: Exception | None) -> PictureError:
    error = PictureError("a.png: cannot be read")
    error.__cause__ = cause
    return error


def unallocated() -> BaseException:
    with pytest.raises(MemoryError) as failed:
        np.empty((1 << 60,), np.uint8)
    return failed.value


def written(cause: OSError) -> BaseException:
    """Return what a task raises for an error of the system in its output folder."""
    with pytest.raises(OSError) as failed, writing_to({"the output folder": Path("/out")}):  # noqa: PT011
        raise cause
    return failed.value


class OutOfMemoryError(MemoryError):
    """A subclass, as libraries have."""


PASSING = [
    DeviceFailedError("GPU:0", "InternalError: lost"),
    tf.errors.InternalError(None, None, "lost"),
    tf.errors.UnavailableError(None, None, "away"),
    tf.errors.UnknownError(None, None, "odd"),
    tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"),
    MemoryError("no room"),
    OutOfMemoryError(),
    StorageError(errno.EIO, "ReadTimeout: no answer", "s3://bucket/out"),
    TimeoutError("no answer"),
    ConnectionResetError(),
    ConnectionError("refused"),
    *map(system_error, (errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ESTALE, errno.EHOSTUNREACH)),
    system_error(errno.ENOMEM),
    picture_error(StorageError(errno.EIO, "503", "s3://bucket/a.png")),
    picture_error(MemoryError()),
    picture_error(system_error(errno.ETIMEDOUT)),
]

LASTING = [
    picture_error(None),
    picture_error(FileNotFoundError(errno.ENOENT, "No such file", "a.png")),
    picture_error(ValueError("damaged")),
    picture_error(StorageError(errno.EACCES, "access denied by the storage", "s3://b/a.png")),
    WeightsError("weights.npz: not an encoder's"),
    DeviceError("devices: found gpu:7"),
    StorageError(errno.EACCES, "access denied by the storage", "s3://bucket/out"),
    WriteError("a.png: cannot be written"),
    LockError("the lock belongs to somebody else"),
    CheckpointError("of other targets"),
    RecordError("damaged"),
    StoppedError("stopped"),
    tf.errors.InvalidArgumentError(None, None, "shapes"),
    *map(
        system_error,
        (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG),
    ),
    *map(system_error, (errno.EISDIR, errno.ENOENT, errno.EIO)),
    ValueError("a bug"),
    ZeroDivisionError(),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_lost_devices_storage_that_is_away_and_lack_of_memory_may_pass(
    error: BaseException,
) -> None:
    assert is_transient(error)


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_faults_and_folders_that_cannot_be_written_do_not_pass(error: BaseException) -> None:
    assert not is_transient(error)


def test_an_array_without_memory_may_pass() -> None:
    assert is_transient(unallocated())


@pytest.mark.parametrize(
    ("number", "may_pass"), [(errno.ENOSPC, False), (errno.EROFS, False), (errno.ETIMEDOUT, True)]
)
def test_errors_in_the_output_folder_are_judged_by_their_cause(number: int, may_pass: bool) -> None:
    assert is_transient(written(system_error(number))) == may_pass
