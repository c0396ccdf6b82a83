"""Networks: an architecture at a data set's input size, as a table of layers.

>>> from hwnasbench import spaces
>>> network = spaces.get("nasbench201").network(0, "cifar10")
>>> network.params
129306
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hwnasbench.networks.counts import count_many
    from hwnasbench.networks.layers import LAYER, Builder, Network

__all__ = ["LAYER", "Builder", "Network", "count_many"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = "counts" if name == "count_many" else "layers"
    return getattr(importlib.import_module(f"hwnasbench.networks.{module}"), name)
