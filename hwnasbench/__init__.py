"""hwnasbench: accuracy, latency, energy and more of neural networks on many devices, by query.

>>> import hwnasbench
>>> bench = hwnasbench.load("nasbench201", data="shipped")
>>> result = bench.query(6111, device="pixel3")
>>> result["latency"].unit
'ms'
"""

from __future__ import annotations

from hwnasbench.benchmark import Benchmark, load
from hwnasbench.errors import HwnasbenchError
from hwnasbench.results import Result, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hwnasbench.onboarding import OnboardedDevice, device_similarity, load_device, onboard, propose

__version__ = "0.1.0"
__all__ = [
    "Benchmark",
    "HwnasbenchError",
    "OnboardedDevice",
    "Result",
    "Value",
    "__version__",
    "device_similarity",
    "load",
    "load_device",
    "onboard",
    "propose",
]


def __getattr__(name: str) -> object:
    # New devices bring NumPy with them; a query does without.
    if name in __all__:
        from hwnasbench import onboarding

        return getattr(onboarding, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
