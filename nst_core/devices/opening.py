"""Preparation of the requested devices in TensorFlow, before anything runs on them."""

from functools import cache

from nst_core.devices.numbering import number_by_bus
from nst_core.devices.requested import ANY_GPU, DeviceError, parse_devices, written_plainly
from nst_core.extras import command_for


def open_devices(text: str) -> tuple[str, ...]:
    """Check and prepare the requested devices, and return TensorFlow's names for them.

    GPUs allocate memory as they need it, not all at once. Several CPUs (`cpu:0,cpu:1`) are parts
    of the one CPU, so that one row can run on each of them. GPUs are numbered as `number_by_bus`
    says.

    Raises:
        DeviceError: TensorFlow sees no such device in this process.
    """
    number_by_bus()
    from nst_core.quiet_tensorflow import tf

    wanted = parse_devices(text)
    _split_cpu(1 + max((int(name[4:]) for name in wanted if name.startswith("CPU")), default=0))
    _grow_as_needed()
    there = [
        f"{device.device_type}:{device.name.rpartition(':')[2]}"
        for device in tf.config.list_logical_devices()
    ]
    gpus = tuple(name for name in there if name.startswith("GPU"))
    missing = [name.lower() for name in wanted if name not in there]
    if written_plainly(text) == ANY_GPU and not gpus:
        missing = [ANY_GPU]
    if missing:
        raise DeviceError(
            f"devices: {', '.join(missing)} requested, but TensorFlow sees only "
            f"{', '.join(name.lower() for name in there)}; `nst-batch doctor` shows details; a GPU "
            f"needs NVIDIA's driver, and {command_for('gpu')}"
        )
    return wanted or gpus or ("CPU:0",)


@cache
def _split_cpu(parts: int) -> None:
    from nst_core.quiet_tensorflow import tf

    if parts == 1:
        return
    (cpu,) = tf.config.list_physical_devices("CPU")
    part = tf.config.LogicalDeviceConfiguration()
    try:
        tf.config.set_logical_device_configuration(cpu, [part] * parts)
    except RuntimeError as error:
        raise DeviceError(
            f"devices: the CPU can no longer be split into {parts} parts, because TensorFlow has "
            "started in this process; request the parts before anything runs"
        ) from error


@cache
def _grow_as_needed() -> None:
    """Keep the first process from taking all of a GPU's memory and leaving none for the next."""
    from nst_core.quiet_tensorflow import tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def names_of_gpus() -> tuple[str, ...]:
    """Return what TensorFlow calls the models of its GPUs, in the order of its numbers."""
    from nst_core.quiet_tensorflow import tf

    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return tuple(each.get("device_name", "") for each in details)
