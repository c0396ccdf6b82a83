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

__version__ = "0.1.0"
__all__ = ["Benchmark", "HwnasbenchError", "Result", "Value", "__version__", "load"]
