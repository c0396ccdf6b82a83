"""What a measurement may depend on: the processor, its clock, the system; and how a process is held to some cores."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hwnasbench.errors import InvalidRequest

#: (vendor, family) -> model numbers, from and to, and the name of the device that these processors are. Recalled from
#: the vendors' tables of CPUID numbers and Linux's arch/x86/include/asm/intel-family.h.
_NAMES: dict[tuple[str, int], list[tuple[int, int, str]]] = {
    ("AuthenticAMD", 23): [(0x30, 0x3F, "epyc_zen2")],
    ("AuthenticAMD", 25): [(0x00, 0x0F, "epyc_zen3"), (0x10, 0x1F, "epyc_zen4"), (0xA0, 0xAF, "epyc_zen4c")],
    ("AuthenticAMD", 26): [(0x00, 0x1F, "epyc_zen5")],
    ("GenuineIntel", 6): [
        (85, 85, "xeon_skylake"),
        (106, 106, "xeon_ice_lake"),
        (143, 143, "xeon_sapphire_rapids"),
        (173, 173, "xeon_granite_rapids"),
        (207, 207, "xeon_emerald_rapids"),
    ],
}
#: Only a server's processor is named by its numbers; a desktop's may share them.
_SERVER = re.compile(r"EPYC|Xeon", re.IGNORECASE)


@dataclass(frozen=True)
class Machine:
    """A processor and a system.

    Attributes
    ----------
    vendor, title : str
        As the processor states them.
    family, model, stepping : int
        CPUID's numbers; -1 where there are none.
    cores : int
        Logical ones.
    features : str
        Those of the vector and matrix extensions that engines choose kernels by.
    system : str
    """

    vendor: str
    family: int
    model: int
    stepping: int
    title: str
    cores: int
    features: str
    system: str

    @property
    def device(self) -> str:
        """Name of the device: vendor's line and family for known servers, else the title as a name."""
        for first, last, name in _NAMES.get((self.vendor, self.family), ()):
            if first <= self.model <= last and _SERVER.search(self.title):
                return name
        return re.sub(r"[^a-z0-9]+", "_", self.title.lower().replace("(r)", "").replace("(tm)", "")).strip("_") or "cpu"

    def record(self) -> dict[str, Any]:
        """Return the attributes as a dict."""
        return asdict(self)


_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8")


def this_machine(cpuinfo: str = "/proc/cpuinfo") -> Machine:
    """Return the machine that this runs on.

    Parameters
    ----------
    cpuinfo : str
        What Linux says of the processors; where the file is missing, the platform's words alone.
    """
    found: dict[str, str] = {}
    path = Path(cpuinfo)
    if path.exists():
        for line in path.read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            found.setdefault(key.strip(), value.strip())
    flags = set(found.get("flags", found.get("Features", "")).split())
    return Machine(
        vendor=found.get("vendor_id", platform.machine()),
        family=int(found.get("cpu family", -1)),
        model=int(found.get("model", -1)),
        stepping=int(found.get("stepping", -1)) if found.get("stepping", "-1").lstrip("-").isdecimal() else -1,
        title=found.get("model name", platform.processor() or platform.machine()),
        cores=os.cpu_count() or 1,
        features=" ".join(name for name in _FEATURES if name in flags),
        system=f"{platform.system()} {platform.machine()}",
    )


def clock_mhz(cpuinfo: str = "/proc/cpuinfo") -> float | None:
    """Return the mean clock that Linux states now, in MHz; None where it states none."""
    path = Path(cpuinfo)
    if not path.exists():
        return None
    found = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", path.read_text("utf-8", "replace"), re.MULTILINE)
    return sum(map(float, found)) / len(found) if found else None


def hold(threads: int, slot: int) -> list[int]:
    """Hold this process to `threads` cores of those it may run on: the ones of a slot, the last cores first.

    Parameters
    ----------
    threads : int
    slot : int
        Which of the processes that run at the same time this is, from 0.

    Returns
    -------
    list of int
        The cores; empty where the system cannot do it.

    Raises
    ------
    InvalidRequest
        When the machine has too few cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        return []
    allowed = sorted(os.sched_getaffinity(0), reverse=True)
    chosen = allowed[slot * threads : (slot + 1) * threads]
    if len(chosen) < threads:
        raise InvalidRequest(
            f"{slot + 1} measuring processes of {threads} threads need {(slot + 1) * threads} cores; "
            f"this machine lets us use {len(allowed)}"
        )
    os.sched_setaffinity(0, chosen)
    return chosen
