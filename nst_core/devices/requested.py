"""The text with which users ask for devices, and its conversion to TensorFlow's names."""

import re
from collections import Counter

from nst_core.errors import UserError

AUTO = "auto"
CPU = "cpu"
ANY_GPU = "gpu"
PATTERN = r"auto|gpu|cpu|(cpu|gpu):\d+(,(cpu|gpu):\d+)*"
"""What users may request: `auto` (the GPUs or else the CPU), `gpu`, `cpu`, or devices by number."""


class DeviceError(UserError):
    """A requested device is not available; the message says what to do."""


def written_plainly(text: str) -> str:
    """Convert a user's text, which may have capitals and spaces, to the form of `PATTERN`.

    Raises:
        DeviceError: the text does not match `PATTERN`, or names a device twice.
    """
    parse_devices(text)
    return _without_spaces(text)


def _without_spaces(text: str) -> str:
    return text.strip().lower().replace(" ", "")


def parse_devices(text: str) -> tuple[str, ...]:
    """Parse `gpu:0,gpu:2` to TensorFlow's names `GPU:0` and `GPU:2`; none for `auto` and `gpu`.

    Raises:
        DeviceError: the text does not match `PATTERN`, or names a device twice.
    """
    wanted = _without_spaces(text)
    if not re.fullmatch(PATTERN, wanted):
        raise DeviceError(
            f"devices: found {text!r}; expected auto, gpu, cpu, or devices such as gpu:0,gpu:2"
        )
    if wanted in (AUTO, ANY_GPU):
        return ()
    names = tuple("CPU:0" if name == CPU else name.upper() for name in wanted.split(","))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DeviceError(f"devices: found {twice[0].lower()} twice in {text!r}; expected it once")
    return names
