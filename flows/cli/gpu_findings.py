"""What `doctor` finds out about GPUs: what TensorFlow and the driver say, locks, known problems."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from flows.cli.preconditions import Finding
from nst_core.devices import (
    Gpu,
    NvmlAnswer,
    device_lock,
    lock_of,
    uuid_of,
    visible_gpus,
)
from nst_core.devices.troubles import (
    TensorFlowBuild,
    card_troubles,
    numbers_in,
    system_troubles,
    written,
)
from nst_core.extras import command_for
from nst_core.storage.locks import LockError, flock, holder_of

QUESTION = """
import json
import tensorflow as tf
devices = [device.name.partition(":")[2] for device in tf.config.list_physical_devices()]
print(json.dumps({"devices": devices, "build": dict(tf.sysconfig.get_build_info())}))
"""


@dataclass(frozen=True)
class TensorFlowFacts:
    """TensorFlow's devices such as `GPU:0`, and its build; or why it does not load."""

    devices: tuple[str, ...] = ()
    build: TensorFlowBuild = field(default_factory=TensorFlowBuild)
    failure: str = ""

    @property
    def gpus(self) -> tuple[str, ...]:
        """The GPUs among the devices."""
        return tuple(device for device in self.devices if device.startswith("GPU"))


def ask_tensorflow() -> TensorFlowFacts:
    """Ask another process, so that a failing TensorFlow does not end this one."""
    answer = subprocess.run(
        [sys.executable, "-P", "-c", QUESTION], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        last = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        return TensorFlowFacts(failure=f"TensorFlow does not load: {last}")
    # Libraries may have printed lines before it.
    facts = json.loads(answer.stdout.splitlines()[-1])
    return TensorFlowFacts(tuple(facts["devices"]), _build(facts["build"]))


def _build(info: dict[str, Any]) -> TensorFlowBuild:
    # Such as `sm_80`, and `compute_90` for code that the driver compiles.
    names = [name.rpartition("_")[2] for name in info.get("cuda_compute_capabilities", ())]
    try:
        cudnn = version("nvidia-cudnn-cu12")
    except PackageNotFoundError:
        cudnn = ""
    return TensorFlowBuild(
        has_cuda=bool(info.get("is_cuda_build", True)),
        capabilities=tuple((int(name[:-1]), int(name[-1])) for name in names if name.isdecimal()),
        cuda=numbers_in(info.get("cuda_version", "")),
        cudnn=numbers_in(cudnn),
    )


def gpu_findings(facts: TensorFlowFacts, nvml: NvmlAnswer) -> list[Finding]:
    """Return findings on TensorFlow's devices, the driver, each GPU, and the system."""
    uses_gpu = bool(facts.gpus or visible_gpus())
    gpus = (finding for gpu in nvml.gpus for finding in _gpu(gpu, nvml.driver, facts.build))
    system, release = platform.system(), platform.release()
    return [
        _devices(facts, len(nvml.gpus)),
        _nvml(nvml, needs_it=uses_gpu),
        *gpus,
        *(
            Finding(trouble.subject, "warning", trouble.found, trouble.advice)
            for trouble in system_troubles(system, release, facts.build, len(nvml.gpus))
        ),
    ]


def _devices(facts: TensorFlowFacts, gpus: int) -> Finding:
    if facts.failure:
        return Finding("devices", "error", facts.failure, "reinstall TensorFlow")
    names = " ".join(facts.devices)
    if facts.gpus:
        return Finding("devices", "ok", names)
    if gpus and "CUDA_VISIBLE_DEVICES" not in os.environ:
        found = f"{names}; rows run on the CPU, although the driver reports {_count(gpus)}"
        return Finding("devices", "warning", found, command_for("gpu"))
    advice = f"with an NVIDIA GPU: {command_for('gpu')}"
    return Finding("devices", "ok", f"{names}; rows run on the CPU", advice)


def _nvml(answer: NvmlAnswer, *, needs_it: bool) -> Finding:
    if answer.gpus:
        found = f"driver {answer.driver or 'unknown'}, {_count(len(answer.gpus))}"
        return Finding("nvml", "ok", found)
    problem = answer.problem or "the driver reports no GPU that this process may use"
    if not needs_it:
        return Finding("nvml", "ok", f"{problem}; without a GPU, it is not needed")
    return Finding(
        "nvml",
        "warning",
        f"{problem}; GPUs are locked by number, and containers may number them differently",
        "pip install nvidia-ml-py, and see whether nvidia-smi works",
    )


def _gpu(gpu: Gpu, driver: str, build: TensorFlowBuild) -> Iterator[Finding]:
    memory = "unknown" if gpu.memory is None else f"{gpu.memory / 1e9:.1f} GB"
    free = "" if gpu.free_memory is None else f" ({gpu.free_memory / 1e9:.1f} GB free)"
    capability = written(gpu.capability) if gpu.capability else "unknown"
    facts = (
        gpu.name or "unknown name",
        f"memory {memory}{free}",
        f"compute capability {capability}",
        gpu.uuid,
    )
    yield Finding(f"gpu {gpu.index}", "ok", ", ".join(facts))
    for trouble in card_troubles(gpu, driver, build):
        subject = f"gpu {gpu.index}: {trouble.subject}"
        yield Finding(subject, "warning", trouble.found, trouble.advice)


def lock_findings(gpus: Sequence[Gpu]) -> list[Finding]:
    """Return who holds the lock of each GPU; none if locks are unusable, as `surroundings` reports.

    Args:
        gpus: the GPUs that the driver reports.
    """
    devices = (f"GPU:{number}" for number in range(len(visible_gpus())))
    unknown = [device for device in devices if not uuid_of(device)]
    try:
        findings = [_lock(subject, lock_of(uuid)) for gpu in gpus for subject, uuid in _parts(gpu)]
        findings += [_lock(device, device_lock(device)) for device in unknown]
    except (LockError, OSError):
        return []
    if gpus and unknown:
        found = f"no certain UUID for {', '.join(unknown)}; locks are named after numbers instead"
        advice = "unset CUDA_DEVICE_ORDER, or list whole UUIDs in CUDA_VISIBLE_DEVICES"
        findings.append(Finding("lock names", "warning", found, advice))
    return findings


def _parts(gpu: Gpu) -> list[tuple[str, str]]:
    """Return subject and UUID of what is locked: the GPU, or each of its MIG instances."""
    if not gpu.is_divided:
        return [(f"gpu {gpu.index}", gpu.uuid)]
    return [
        (f"gpu {gpu.index} instance {number}", uuid) for number, uuid in enumerate(gpu.instances)
    ]


def _lock(subject: str, path: Path) -> Finding:
    holder = _holder(path)
    found = f"held by {holder}, so other runs wait for it" if holder else "free"
    return Finding(f"{subject}: lock", "ok", f"{found} ({path})")


def _holder(path: Path) -> str:
    """Return the holder of a lock, or an empty text if it is free.

    Raises:
        LockError, OSError: as in `flock`.
    """
    if not path.exists():
        return ""
    if named := holder_of(path):
        return named
    descriptor = flock(path, timeout=0)
    if descriptor is None:
        return "a process that this one cannot see, perhaps in a container"
    os.close(descriptor)
    return ""


def _count(gpus: int) -> str:
    return f"{gpus} GPU{'s' if gpus > 1 else ''}"
