"""Energy meters and memory: read where the machine has them, absent where it has none; never guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_POWERCAP = "/sys/class/powercap"


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


def peak(status: str = "/proc/self/status") -> int | None:
    """Return the peak of this process's resident set in bytes; None where Linux does not tell."""
    path = Path(status)
    found = re.search(r"^VmHWM:\s*(\d+) kB", path.read_text("ascii"), re.MULTILINE) if path.exists() else None
    return int(found[1]) * 1024 if found else None
