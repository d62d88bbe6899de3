"""Which failures of a row or of a style may pass, so that it is worth trying again."""

import errno

from nst_core.devices import DeviceFailedError
from nst_core.images.picture_files import PictureError
from nst_core.storage.files import StorageError

LASTING = frozenset({errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EPERM, errno.EROFS})
"""Reasons of the system, or of a storage, that only a person can remove."""

PASSING = frozenset(
    {
        *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ENOTCONN),
        *(errno.ENOMEM, errno.ESTALE),
    }
)
"""The system's reasons without a class in Python: a lost network disk, and a lack of memory."""


def is_transient(error: BaseException) -> bool:
    """Return whether a failure may pass by itself.

    Such failures are a lost device, a storage that does not answer, and a lack of memory. Faults of
    pictures, weights and settings, and files that cannot be written, do not pass.
    """
    if isinstance(error, PictureError):
        # The picture was read before anything ran, so its storage or the memory may be to blame.
        return error.__cause__ is not None and is_transient(error.__cause__)
    if isinstance(error, OSError) and error.errno in LASTING:
        return False
    if isinstance(error, OSError) and error.errno in PASSING:
        return True
    known = (DeviceFailedError, StorageError, TimeoutError, ConnectionError, MemoryError)
    return isinstance(error, (*known, *_of_tensorflow()))


def _of_tensorflow() -> tuple[type[BaseException], ...]:
    """Return TensorFlow's errors for lost devices and for a lack of memory.

    On a cluster's CPU, a lost device is no `DeviceFailedError`, but one of these.
    """
    from nst_core.quiet_tensorflow import tf

    errors = tf.errors
    lost = (errors.InternalError, errors.UnavailableError, errors.UnknownError)
    return (*lost, errors.ResourceExhaustedError)
