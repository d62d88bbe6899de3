"""Records of measurements, as lines of JSON, and the machine that they come from."""

import json
import os
import platform
import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

Record = dict[str, Any]
"""A measurement: `part`, `key` (unique in a file), and what was found, or an `error`."""

MACHINE = "machine"
"""The part of the first record."""

INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "asimd", "sve")
"""Instruction sets that decide how fast matrices are multiplied, as Linux calls them."""

VARYING = ("date", "load")
"""What may differ between the parts of a run that was interrupted."""


class OtherMachineError(ValueError):
    """The records are of another machine, or of other versions."""


def read(path: Path) -> list[Record]:
    """Return the records of a file; a last line that an interruption cut off is left out."""
    if not path.exists():
        return []
    lines = path.read_text("utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line]


def append(path: Path, record: Record) -> None:
    """Add a record to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text("utf-8") if path.exists() else ""
    if text and not text.endswith("\n"):
        path.write_text(text[: text.rfind("\n") + 1], "utf-8")
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def machine(versions: Mapping[str, str | None]) -> Record:
    """Return the record of this machine.

    Args:
        versions: of Python and the packages that are measured; None where one is not there.
    """
    info = Path("/proc/cpuinfo")
    text = info.read_text("utf-8") if info.exists() else ""
    model = re.search(r"^model name\s*: (.+)$", text, re.M)
    flags = re.search(r"^(?:flags|Features)\s*: (.+)$", text, re.M)
    known = set(flags[1].split()) if flags else set()
    return {
        "part": MACHINE,
        "key": MACHINE,
        "cpu": model[1].strip() if model else platform.processor() or platform.machine(),
        "instructions": [name for name in INSTRUCTIONS if name in known],
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "memory_gb": memory_gb(),
        "versions": dict(versions),
        "date": date.today().isoformat(),
        "load": round(os.getloadavg()[0], 2),
    }


def memory_gb() -> float:
    """Return how much memory this machine has, in GB."""
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)


def cores() -> int:
    """Return on how many CPUs this process may run."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def file_name(of: Record) -> str:
    """Return the name of the file of a machine's records."""
    model = re.sub(r"[^a-z0-9]+", "-", of["cpu"].lower()).strip("-")
    return f"{model}-{of['cores']}-cores-{of['date']}.jsonl"


def check_same(before: Record, now: Record) -> None:
    """Raise OtherMachineError if records of the one must not be put beside those of the other."""
    different = [
        f"{name}: {before.get(name)} before, {value} now"
        for name, value in now.items()
        if name not in VARYING and before.get(name) != value
    ]
    if different:
        raise OtherMachineError("; ".join(different))


def of_part(records: Iterable[Record], part: str) -> list[Record]:
    """Return the records of a part that have no error."""
    return [one for one in records if one["part"] == part and "error" not in one]
