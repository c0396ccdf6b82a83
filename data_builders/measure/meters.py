"""Energy meters and memory: read where the machine has them, absent where it has none; never guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

_POWERCAP = "/sys/class/powercap"


class Meter(Protocol):
    """A counter of energy."""

    def read(self) -> list[int]:
        """Return what the counter shows."""

    def joules(self, before: list[int], after: list[int]) -> float:
        """Return what was spent between two readings."""


@dataclass(frozen=True)
class Rapl:
    """Counters of the processor packages: what Linux's powercap interface gives of RAPL.

    Attributes
    ----------
    counters : tuple of (Path, int)
        The file of each package, and the microjoules at which it starts again from 0.
    """

    counters: tuple[tuple[Path, int], ...]

    def read(self) -> list[int]:
        """Return the microjoules of each package."""
        return [int(path.read_text("ascii")) for path, _ in self.counters]

    def joules(self, before: list[int], after: list[int]) -> float:
        """Return what was spent between two readings less than one wrap apart."""
        spent = ((b - a) % (wrap + 1) for (_, wrap), a, b in zip(self.counters, before, after, strict=True))
        return sum(spent) / 1e6


def rapl(root: str = _POWERCAP) -> Rapl | None:
    """Return the meter of this machine; None where it has none, or where we may not read it.

    Parameters
    ----------
    root : str
        Folder of the powercap interface: a package is a ``name`` that starts so, with ``energy_uj`` and
        ``max_energy_range_uj`` (Linux's Documentation/power/powercap, recalled).
    """
    found = []
    for zone in sorted(Path(root).glob("*-rapl:*")) if Path(root).is_dir() else ():
        try:
            if (zone / "name").read_text("ascii").startswith("package"):
                counter = zone / "energy_uj"
                int(counter.read_text("ascii"))
                found.append((counter, int((zone / "max_energy_range_uj").read_text("ascii"))))
        except (OSError, ValueError):
            continue
    return Rapl(tuple(found)) if found else None


@dataclass(frozen=True)
class Nvml:
    """The counter of one NVIDIA device, millijoules since its driver was loaded.

    ``nvmlDeviceGetTotalEnergyConsumption`` of NVML, which devices have from Volta on (both recalled).
    """

    library: Any
    handle: Any

    def read(self) -> list[int]:
        """Return the millijoules of the device."""
        return [int(self.library.nvmlDeviceGetTotalEnergyConsumption(self.handle))]

    def joules(self, before: list[int], after: list[int]) -> float:
        """Return what was spent between two readings."""
        return (after[0] - before[0]) / 1e3


def nvml(uuid: str) -> Nvml | None:
    """Return the meter of an NVIDIA device; None without nvidia-ml-py, the driver or the device's counter.

    Parameters
    ----------
    uuid : str
        Of the device, ``GPU-...``: an index counts differently here and in CUDA.
    """
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        meter = Nvml(pynvml, pynvml.nvmlDeviceGetHandleByUUID(uuid))
        meter.read()
    except pynvml.NVMLError:
        return None
    return meter


def nvidia_driver() -> str | None:
    """Return the version of NVIDIA's driver; None without nvidia-ml-py or a driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except ImportError:
        return None
    except pynvml.NVMLError:
        return None


def peak(status: str = "/proc/self/status") -> int | None:
    """Return the peak of this process's resident set in bytes; None where Linux does not tell."""
    path = Path(status)
    found = re.search(r"^VmHWM:\s*(\d+) kB", path.read_text("ascii"), re.MULTILINE) if path.exists() else None
    return int(found[1]) * 1024 if found else None
