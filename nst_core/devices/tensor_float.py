"""Whether the GPUs of this process may round float32 to TF32 in products, decided once.

TensorFlow has one switch for a whole process. It is read when a kernel is chosen for a convolution,
and the choice is then kept by shape and type, whatever the switch says later (`AutotuneUnfusedConv`
in tensorflow/core/kernels/conv_ops_gpu.cc, `ConvParameters` in core/util/autotune_maps). So a
process that turned the switch would go on with kernels of the other kind. A process therefore
decides once, and rows of the other kind need another process (`processes.process_of`).
"""

import threading

from nst_core.errors import UserError


class PrecisionError(UserError):
    """A process was asked for products with TF32 and for products without it."""


_deciding = threading.Lock()
_decided: list[bool] = []
"""Whether TF32 is allowed; empty as long as no GPU of this process was used."""


def decide_tf32(device: str, *, allowed: bool) -> None:
    """Decide whether products may be rounded to TF32 on all GPUs of this process, for good.

    On a CPU, which has no TF32, nothing is decided. If TF32 is allowed, TensorFlow's switch stays
    as it is: on, unless the user's own program has turned it off.

    Args:
        device: the device that is about to be used; TensorFlow's name, or an end of it.
        allowed: what the work needs.

    Raises:
        PrecisionError: it was decided otherwise before.
    """
    if "GPU:" not in device:
        return
    with _deciding:
        if not _decided:
            if not allowed:
                _forbid_tf32()
            _decided.append(allowed)
        if _decided != [allowed]:
            with_it, without_it = "precision = tf32", "precision = float32 or bfloat16"
            found, before = (with_it, without_it) if allowed else (without_it, with_it)
            raise PrecisionError(
                f"precision: found {found} in a process whose GPUs have already worked with "
                f"{before}; expected one of the two for all GPUs of a process, because TensorFlow "
                "keeps the kernels that it has chosen; use another process for each, as nst-batch "
                "does"
            )


def _forbid_tf32() -> None:
    from nst_core.quiet_tensorflow import tf

    tf.config.experimental.enable_tensor_float_32_execution(False)
