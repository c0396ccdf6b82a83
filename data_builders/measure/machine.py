"""What a measurement may depend on: the processor, its clock, the system; and how a process is held to some cores."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

from hwnasbench.errors import CoresTaken, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

#: (vendor, family) -> models and steppings, and the name of the device that these processors are. Recalled from the
#: vendors' tables of CPUID numbers and Linux's arch/x86/include/asm/intel-family.h.
_ANY = range(256)
_NAMES: dict[tuple[str, int], list[tuple[range, range, str]]] = {
    ("AuthenticAMD", 23): [(range(0x30, 0x40), _ANY, "epyc_zen2")],
    ("AuthenticAMD", 25): [
        (range(0x10), _ANY, "epyc_zen3"),
        (range(0x10, 0x20), _ANY, "epyc_zen4"),
        (range(0xA0, 0xB0), _ANY, "epyc_zen4c"),
    ],
    ("AuthenticAMD", 26): [(range(0x10), _ANY, "epyc_zen5"), (range(0x10, 0x20), _ANY, "epyc_zen5c")],
    ("GenuineIntel", 6): [
        (range(85, 86), range(5), "xeon_skylake"),
        (range(85, 86), range(5, 8), "xeon_cascade_lake"),
        (range(85, 86), range(10, 12), "xeon_cooper_lake"),
        (range(106, 107), _ANY, "xeon_ice_lake"),
        (range(143, 144), _ANY, "xeon_sapphire_rapids"),
        (range(173, 175), _ANY, "xeon_granite_rapids"),
        (range(207, 208), _ANY, "xeon_emerald_rapids"),
    ],
}
#: The model that a hypervisor was seen to state of servers with matrix tiles, which none of them has.
_HIDDEN = 167
#: Only a server's processor is named by its numbers; a desktop's may share them.
_SERVER = re.compile(r"EPYC|Xeon", re.IGNORECASE)


#: For how many seconds a measuring process waits for cores: one that was killed may still have them.
_PATIENCE = 10.0
#: Logical processors that this process has taken, and the open file that holds each.
_TAKEN: dict[int, int] = {}


@dataclass(frozen=True)
class Machine:
    """A processor and a system.

    Attributes
    ----------
    vendor, title : str
        As the processor states them; of ARM the implementer's number, and the board's name where the system knows it.
    family, model, stepping : int
        CPUID's numbers; of ARM the architecture, part and revision of the first core; -1 where there are none.
    cores : int
        Logical ones.
    features : str
        Those of the vector and matrix extensions that engines choose kernels by.
    system : str
    accelerator : str
        What runs the networks, where it is not the processor.
    """

    vendor: str
    family: int
    model: int
    stepping: int
    title: str
    cores: int
    features: str
    system: str
    accelerator: str = ""

    @property
    def device(self) -> str:
        """Name of the device: vendor's line and family for known servers, else the title as a name.

        Of a server with matrix tiles whose model is hidden, it tells the stepping.
        """
        if self.accelerator:
            return _as_name(self.accelerator)
        for models, steppings, name in _NAMES.get((self.vendor, self.family), ()):
            if self.model in models and self.stepping in steppings and _SERVER.search(self.title):
                return name
        # Some hypervisors state another model; servers since Sapphire Rapids alone have matrix tiles (recalled), and
        # generations that share a false model were seen to differ by their stepping.
        if "amx_int8" in self.features.split() and _SERVER.search(self.title):
            return f"xeon_amx_s{self.stepping}" if self.model == _HIDDEN and self.stepping >= 0 else "xeon_amx"
        return _as_name(self.title)

    def record(self) -> dict[str, Any]:
        """Return the attributes as a dict."""
        return asdict(self)


_FEATURES = (
    *("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)


def _as_name(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", title.lower().replace("(r)", "").replace("(tm)", "")).strip("_") or "cpu"


def this_machine(cpuinfo: str = "/proc/cpuinfo", board: str = "/proc/device-tree/model") -> Machine:
    """Return the machine that this runs on.

    Parameters
    ----------
    cpuinfo : str
        What Linux says of the processors; where the file is missing, the platform's words alone.
    board : str
        What Linux says of a board that is described by a device tree.
    """
    found: dict[str, str] = {}
    parts = set()
    path = Path(cpuinfo)
    if path.exists():
        for line in path.read_text("utf-8", "replace").splitlines():
            key, _, value = (word.strip() for word in line.partition(":"))
            found.setdefault(key, value)
            if key == "CPU part":
                parts.add(value)
    flags = set(found.get("flags", found.get("Features", "")).split())
    return Machine(
        vendor=found.get("vendor_id", found.get("CPU implementer", platform.machine())),
        family=_number(found.get("cpu family", found.get("CPU architecture"))),
        model=_number(found.get("model", found.get("CPU part"))),
        stepping=_number(found.get("stepping", found.get("CPU revision"))),
        title=found.get("model name") or _title(found, parts, Path(board)),
        cores=os.cpu_count() or 1,
        features=" ".join(name for name in _FEATURES if name in flags),
        system=f"{platform.system()} {platform.machine()}",
    )


def _number(word: str | None) -> int:
    try:
        return int(word or "-1", 0)
    except ValueError:
        return -1


def _title(found: dict[str, str], parts: set[str], board: Path) -> str:
    """Return a name for a processor that states none, as those of ARM and Apple."""
    told = board.read_text("utf-8", "replace").strip("\0 \n") if board.exists() else found.get("Hardware", "")
    if parts:
        cores = f"{platform.machine()} {found.get('CPU implementer', '')} {' '.join(sorted(parts))}"
        return f"{told} ({cores})" if told else cores
    if platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return told or platform.processor() or platform.machine()


def clock_mhz(cpuinfo: str = "/proc/cpuinfo") -> float | None:
    """Return the mean clock that Linux states now, in MHz; None where it states none."""
    path = Path(cpuinfo)
    if not path.exists():
        return None
    found = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", path.read_text("utf-8", "replace"), re.MULTILINE)
    return sum(map(float, found)) / len(found) if found else None


def hold(threads: int, root: str = "/sys/devices/system/cpu") -> list[int]:
    """Hold this process to `threads` cores that no other measuring process on this machine is held to.

    One logical processor of each core comes before a second one of any; then the fastest, then those of the highest
    number. They stay taken until the process ends.

    Parameters
    ----------
    threads : int
    root : str
        What Linux says of the cores.

    Returns
    -------
    list of int
        The logical processors; empty where the system cannot do it.

    Raises
    ------
    InvalidRequest
        When there are too few.
    CoresTaken
        When too few are free, and stay so for ten seconds.
    """
    if not hasattr(os, "sched_setaffinity"):
        return []
    allowed = preferred(os.sched_getaffinity(0), Path(root))
    deadline = time.monotonic() + _PATIENCE
    while len(chosen := list(islice((core for core in allowed if _take(core)), threads))) < threads:
        if time.monotonic() > deadline or threads > len(allowed):
            kind = InvalidRequest if threads > len(allowed) else CoresTaken
            raise kind(
                f"a measuring process of {threads} threads needs as many cores; this machine lets us use "
                f"{len(allowed)}, of which {len(chosen)} are free of other measuring processes"
            )
        time.sleep(0.1)
    for core in set(allowed) - set(chosen):
        _leave(core)
    os.sched_setaffinity(0, chosen)
    return chosen


def preferred(allowed: Iterable[int], root: Path) -> list[int]:
    """Return logical processors in the order in which they are taken; see `hold`."""
    seen: Counter[tuple[str, ...]] = Counter()
    keys = {}
    for core in sorted(allowed, reverse=True):
        about = root / f"cpu{core}"
        where = tuple(_told(about / "topology" / name) for name in ("physical_package_id", "core_id"))
        speed = _number(_told(about / "cpu_capacity") or _told(about / "cpufreq" / "cpuinfo_max_freq"))
        keys[core] = (seen[where] if all(where) else 0, -speed, -core)
        seen[where] += 1
    return sorted(keys, key=keys.__getitem__)


def _told(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except OSError:
        return ""


def _take(core: int) -> bool:
    """Take a logical processor for as long as this process lives; False where another one has it."""
    import fcntl

    if core in _TAKEN:
        return True
    folder = Path(gettempdir()) / f"hwnasbench-cores-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    handle = os.open(folder / str(core), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return False
    _TAKEN[core] = handle
    return True


def _leave(core: int) -> None:
    if core in _TAKEN:
        os.close(_TAKEN.pop(core))
