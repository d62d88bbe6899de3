"""The devices to compute on; each is used by one optimization at a time."""

from nst_core.devices.free_memory import is_allocation_failure, reserved_memory
from nst_core.devices.gpus import device_lock, lock_of, uuid_of, visible_gpus
from nst_core.devices.lending import (
    UNLOCKED_CPU,
    DeviceFailedError,
    lend_device,
    on_a_device,
    on_asked_devices,
    using_cpu,
)
from nst_core.devices.memory import peak_memory_mb
from nst_core.devices.nvml import Gpu, NvmlAnswer, ask_nvml
from nst_core.devices.opening import open_devices
from nst_core.devices.processes import (
    ProcessEndedError,
    ProcessKilledError,
    Say,
    process_of,
    processes_of_devices,
)
from nst_core.devices.requested import (
    ANY_GPU,
    AUTO,
    CPU,
    PATTERN,
    DeviceError,
    parse_devices,
    written_plainly,
)
from nst_core.devices.tensor_float import PrecisionError, decide_tf32

__all__ = [
    "ANY_GPU",
    "AUTO",
    "CPU",
    "PATTERN",
    "UNLOCKED_CPU",
    "DeviceError",
    "DeviceFailedError",
    "Gpu",
    "NvmlAnswer",
    "PrecisionError",
    "ProcessEndedError",
    "ProcessKilledError",
    "Say",
    "ask_nvml",
    "decide_tf32",
    "device_lock",
    "is_allocation_failure",
    "lend_device",
    "lock_of",
    "on_a_device",
    "on_asked_devices",
    "open_devices",
    "parse_devices",
    "peak_memory_mb",
    "process_of",
    "processes_of_devices",
    "reserved_memory",
    "using_cpu",
    "uuid_of",
    "visible_gpus",
    "written_plainly",
]
