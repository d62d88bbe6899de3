"""What NVIDIA's driver says about the GPUs of this machine, through its library NVML."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Gpu:
    """A GPU as the driver describes it; None and empty stand for what it does not know.

    Args:
        index: its number in NVML and in `nvidia-smi`.
        uuid: such as `GPU-8932f937-d72c-4106-c12f-20bd9faed9f6`; it never changes.
        bus: domain, bus and device of its PCI address.
        name: such as `NVIDIA H100 80GB HBM3`.
        memory: total memory in bytes.
        free_memory: memory that no process uses, in bytes.
        capability: the compute capability, such as (9, 0).
        is_divided: whether the GPU is in MIG mode; CUDA then uses its instances, not the GPU.
        instances: the UUIDs of its MIG instances.
    """

    index: int
    uuid: str
    bus: tuple[int, int, int]
    name: str = ""
    memory: int | None = None
    free_memory: int | None = None
    capability: tuple[int, int] | None = None
    is_divided: bool = False
    instances: tuple[str, ...] = ()

    @property
    def usable(self) -> tuple[str, ...]:
        """The UUIDs of what CUDA can use: the GPU, or else its MIG instances."""
        return self.instances if self.is_divided else (self.uuid,)


@dataclass(frozen=True)
class NvmlAnswer:
    """The GPUs that this process can reach, the driver's version, or why NVML gives no answer."""

    gpus: tuple[Gpu, ...] = ()
    driver: str = ""
    problem: str = ""


def ask_nvml() -> NvmlAnswer:
    """Ask NVML for all GPUs; the answer is empty if the library or the driver gives none.

    NVML ignores `CUDA_VISIBLE_DEVICES`, but does not see what a container hides.
    """
    try:
        import pynvml
    except ImportError:
        return NvmlAnswer(problem="the Python package nvidia-ml-py is not installed")
    try:
        pynvml.nvmlInit()
        try:
            gpus = tuple(_describe(pynvml, *found) for found in _handles(pynvml))
            driver = _if_known(pynvml.nvmlSystemGetDriverVersion)
            return NvmlAnswer(gpus, driver or "")
        finally:
            pynvml.nvmlShutdown()
    except Exception as error:  # noqa: BLE001 - half an answer would be worse than none
        return NvmlAnswer(problem=f"NVML gives no answer: {error}")


def _handles(nvml: Any) -> Iterator[tuple[int, Any]]:
    """Yield the number and the handle of each GPU that this process may use."""
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            yield index, nvml.nvmlDeviceGetHandleByIndex(index)
        except nvml.NVMLError_NoPermission:
            # NVML counts GPUs that a control group forbids; CUDA does not see them.
            continue


def _describe(nvml: Any, index: int, handle: Any) -> Gpu:
    address = nvml.nvmlDeviceGetPciInfo(handle)
    memory = _if_known(nvml.nvmlDeviceGetMemoryInfo, handle)
    mode = _if_known(nvml.nvmlDeviceGetMigMode, handle)
    is_divided = mode is not None and mode[0] == nvml.NVML_DEVICE_MIG_ENABLE
    capability = _if_known(nvml.nvmlDeviceGetCudaComputeCapability, handle)
    return Gpu(
        index=index,
        uuid=nvml.nvmlDeviceGetUUID(handle),
        bus=(address.domain, address.bus, address.device),
        name=_if_known(nvml.nvmlDeviceGetName, handle) or "",
        memory=memory and memory.total,
        free_memory=memory and memory.free,
        capability=capability and (capability[0], capability[1]),
        is_divided=is_divided,
        instances=tuple(_instances(nvml, handle)) if is_divided else (),
    )


def _instances(nvml: Any, handle: Any) -> Iterator[str]:
    """Yield the UUIDs of a GPU's MIG instances; places without an instance raise an error."""
    for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        instance = _if_known(nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, number)
        if instance is not None:
            yield nvml.nvmlDeviceGetUUID(instance)


def _if_known(ask: Callable[..., Value], *arguments: Any) -> Value | None:
    """Return the answer to one question, or None if this GPU or this driver has none."""
    try:
        return ask(*arguments)
    except Exception:  # noqa: BLE001 - bindings and drivers of different age raise many kinds
        return None
