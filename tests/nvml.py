"""A stand-in for the Python package nvidia-ml-py, with the GPUs that a test wants."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = """
class NVMLError(Exception): pass
class NVMLError_NoPermission(NVMLError): pass
class Record:
    def __init__(self, **facts): self.__dict__.update(facts)

NVML_DEVICE_MIG_ENABLE = 1
GPUS, DRIVER, FAILING = {gpus!r}, {driver!r}, {failing!r}
opened = 0

def _check(name, gpu=None):
    if name in FAILING: raise NVMLError(FAILING[name])
    if gpu is not None and name not in gpu: raise NVMLError("Not Supported")

def nvmlInit():
    global opened
    _check("init")
    opened += 1

def nvmlShutdown():
    global opened
    opened -= 1

def nvmlSystemGetDriverVersion():
    _check("driver")
    return DRIVER

def nvmlDeviceGetCount():
    _check("count")
    return len(GPUS)

def nvmlDeviceGetHandleByIndex(index):
    if GPUS[index].get("forbidden"): raise NVMLError_NoPermission("Insufficient Permissions")
    return GPUS[index]

def nvmlDeviceGetUUID(gpu):
    _check("uuid")
    return gpu if isinstance(gpu, str) else gpu["uuid"]

def nvmlDeviceGetPciInfo(gpu):
    return Record(domain=0, bus=gpu["bus"], device=0)

def nvmlDeviceGetName(gpu):
    _check("name", gpu)
    return gpu["name"]

def nvmlDeviceGetMemoryInfo(gpu):
    _check("memory", gpu)
    return Record(total=gpu["memory"], free=gpu["free"])

def nvmlDeviceGetCudaComputeCapability(gpu):
    _check("capability", gpu)
    return gpu["capability"]

def nvmlDeviceGetMigMode(gpu):
    _check("instances", gpu)
    return [1, 1]

def nvmlDeviceGetMaxMigDeviceCount(gpu): return 7

def nvmlDeviceGetMigDeviceHandleByIndex(gpu, number):
    if number >= len(gpu["instances"]): raise NVMLError("Not Found")
    return gpu["instances"][number]
"""


@dataclass(frozen=True)
class FakeNvml:
    """GPUs as mappings from facts to values, the driver's version, and calls that fail."""

    gpus: list[dict[str, object]] = field(default_factory=list)
    driver: str = "550.54.15"
    failing: dict[str, str] = field(default_factory=dict)

    def source(self) -> str:
        return SOURCE.format(gpus=self.gpus, driver=self.driver, failing=self.failing)

    def write(self, folder: Path) -> None:
        """Write the stand-in into a folder for `PYTHONPATH`."""
        folder.mkdir(exist_ok=True)
        (folder / "pynvml.py").write_text(self.source())

    def install(self, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
        """Use the stand-in in this process, until the test ends."""
        module = ModuleType("pynvml")
        exec(self.source(), module.__dict__)
        monkeypatch.setitem(sys.modules, "pynvml", module)
        return module


def fake_gpu(letter: str, bus: int, **facts: object) -> dict[str, object]:
    """Return an H100 whose UUID consists of one letter, at a PCI address, with other facts."""
    usual = {
        "uuid": uuid(letter),
        "bus": bus,
        "name": "NVIDIA H100",
        "memory": 80 * 10**9,
        "free": 79 * 10**9,
        "capability": (9, 0),
    }
    return usual | facts


def uuid(letter: str) -> str:
    return "GPU-" + "-".join(letter * count for count in (8, 4, 4, 4, 12))
