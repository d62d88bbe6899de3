"""Known problems of cards and systems, each with the source that reports it."""

import re
from dataclasses import dataclass

from nst_core.devices.nvml import Gpu
from nst_core.extras import command_for

Version = tuple[int, ...]


@dataclass(frozen=True)
class TensorFlowBuild:
    """How the installed TensorFlow was built, and the cuDNN beside it.

    Args:
        has_cuda: False if it was built without CUDA.
        capabilities: the compute capabilities that it has kernels for; empty if unknown.
        cuda: the version of CUDA; empty if unknown.
        cudnn: the version of the Python package with cuDNN; empty if that is not installed.
    """

    has_cuda: bool = True
    capabilities: tuple[Version, ...] = ()
    cuda: Version = ()
    cudnn: Version = ()


@dataclass(frozen=True)
class Trouble:
    """A known problem: its subject in a word or two, what was found, and what to do."""

    subject: str
    found: str
    advice: str


def card_troubles(gpu: Gpu, driver: str, build: TensorFlowBuild) -> list[Trouble]:
    """Return the known problems of a GPU with these versions of the driver and of TensorFlow."""
    found = (
        _age(gpu, build),
        _generation(gpu, build),
        _cudnn(gpu, build),
        _driver(driver, build),
        _memory(gpu),
        _instances(gpu),
    )
    return [trouble for trouble in found if trouble is not None]


def _age(gpu: Gpu, build: TensorFlowBuild) -> Trouble | None:
    """Check the oldest capability, below which TensorFlow ignores a GPU.

    `GetValidDeviceIds` in tensorflow/core/common_runtime/gpu/gpu_device.cc; the notes of release
    2.17 say the same of the cards with 5.x (https://github.com/tensorflow/tensorflow/releases).
    """
    if not build.capabilities or not gpu.capability or gpu.capability >= min(build.capabilities):
        return None
    found = (
        f"its compute capability is {written(gpu.capability)}; this TensorFlow needs "
        f"{written(min(build.capabilities))} or higher, and ignores the card"
    )
    return Trouble("age", found, "use a newer card; rows run on the other devices")


def _generation(gpu: Gpu, build: TensorFlowBuild) -> Trouble | None:
    """Check the newest generation with kernels.

    A newer one depends on a compilation at runtime, which fails with CUDA_ERROR_INVALID_PTX on
    capability 12.0: https://github.com/tensorflow/tensorflow/issues/89272, 90291, 99592, 101746.
    """
    if not build.capabilities or not gpu.capability:
        return None
    newest = max(build.capabilities)
    if gpu.capability[0] <= newest[0]:
        return None
    found = (
        f"its compute capability is {written(gpu.capability)}; this TensorFlow was built for up "
        f"to {written(newest)}, and users of newer cards report CUDA_ERROR_INVALID_PTX"
    )
    advice = (
        "try one row with --devices gpu; if it fails, use a newer TensorFlow or NVIDIA's "
        "container with TensorFlow, or --devices cpu"
    )
    return Trouble("generation", found, advice)


FIRST_CUDNN_WITHOUT_VOLTA: Version = (9, 11)
LEAST_OF_NEW_CUDNN: Version = (7, 5)


def _cudnn(gpu: Gpu, build: TensorFlowBuild) -> Trouble | None:
    """Check cuDNN, which has needed capability 7.5 since 9.11.

    https://docs.nvidia.com/deeplearning/cudnn/backend/v9.11.0/reference/support-matrix.html; for
    what happens otherwise, see https://github.com/immich-app/immich/pull/23110.
    """
    if not gpu.capability or gpu.capability >= LEAST_OF_NEW_CUDNN:
        return None
    if build.cudnn[:2] < FIRST_CUDNN_WITHOUT_VOLTA:
        return None
    found = (
        f"its compute capability is {written(gpu.capability)}; the installed cuDNN "
        f"{written(build.cudnn[:2])} needs {written(LEAST_OF_NEW_CUDNN)} or higher"
    )
    return Trouble("cuDNN", found, "pip install 'nvidia-cudnn-cu12<9.11'")


LEAST_DRIVERS = {11: 450, 12: 525, 13: 580}
"""The oldest driver that works with each major version of CUDA.

https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
"""


def _driver(driver: str, build: TensorFlowBuild) -> Trouble | None:
    numbers = numbers_in(driver)
    least = LEAST_DRIVERS.get(build.cuda[0], 0) if build.cuda else 0
    if not numbers or numbers[0] >= least:
        return None
    found = (
        f"the driver is {driver}; CUDA {build.cuda[0]} of this TensorFlow needs {least} or later"
    )
    return Trouble("driver", found, "install a newer driver from NVIDIA")


LEAST_MEMORY = 1_000_000_000
"""Bytes that a row of 512 pixels takes besides TensorFlow itself (docs/benchmarks.md)."""


def _memory(gpu: Gpu) -> Trouble | None:
    if gpu.memory is None or gpu.memory >= LEAST_MEMORY:
        return None
    found = f"it has {gpu.memory / 1e9:.1f} GB of memory; a row of 512 pixels needs more than 1 GB"
    return Trouble("memory", found, "use a smaller --size, or --devices cpu")


def _instances(gpu: Gpu) -> Trouble | None:
    """Check MIG mode, in which a process of CUDA uses one instance.

    https://docs.nvidia.com/cuda/cuda-programming-guide/05-appendices/environment-variables.html
    """
    if not gpu.is_divided or len(gpu.instances) == 1:
        return None
    count = len(gpu.instances)
    if not count:
        return Trouble(
            "MIG",
            "it is in MIG mode and has no instance that CUDA could use",
            "create an instance (nvidia-smi mig -cgi ... -C), or switch MIG mode off",
        )
    return Trouble(
        "MIG",
        f"it is divided into {count} MIG instances, of which a run uses only one",
        "set CUDA_VISIBLE_DEVICES to the UUID of another instance for each run",
    )


def system_troubles(system: str, release: str, build: TensorFlowBuild, gpus: int) -> list[Trouble]:
    """Return the known problems of an operating system.

    Args:
        system: from `platform.system()`.
        release: from `platform.release()`.
        build: the installed TensorFlow.
        gpus: how many NVIDIA GPUs the driver reports.
    """
    if system == "Darwin":
        # https://www.tensorflow.org/install/pip
        found = "TensorFlow has no official GPU support for macOS"
        return [Trouble("system", found, "rows run on the CPU; for GPUs, use Linux")]
    troubles = []
    if "microsoft" in release.lower():
        # https://docs.nvidia.com/cuda/wsl-user-guide/
        found = "this is Linux inside Windows (WSL), where the driver of Windows serves the GPU"
        advice = "install NVIDIA's driver in Windows, and none in WSL"
        troubles.append(Trouble("system", found, advice))
    if gpus and not build.has_cuda:
        # On ARM, this is the only build: https://www.tensorflow.org/install/pip
        found = "there are GPUs, but the installed TensorFlow was built without CUDA"
        advice = f"on x86-64 Linux: {command_for('gpu')}; elsewhere, rows run on the CPU"
        troubles.append(Trouble("TensorFlow", found, advice))
    return troubles


def numbers_in(version: str) -> Version:
    """Return the numbers at the start of a version, such as (550, 54, 15); none if it has none."""
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])[:3]))


def written(version: Version) -> str:
    """Return a version as people write it, such as `9.0`."""
    return ".".join(map(str, version))
