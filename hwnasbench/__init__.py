"""hwnasbench: accuracy, latency, energy and more of neural networks on many devices, by query.

>>> import hwnasbench
>>> bench = hwnasbench.load("nasbench201")
>>> bench.query(0, device="pixel3").latency  # doctest: +SKIP
"""

from __future__ import annotations

__version__ = "0.1.0"
