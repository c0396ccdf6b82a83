"""Networks: an architecture at a data set's input size, as a table of layers.

>>> from hwnasbench import spaces
>>> network = spaces.get("nasbench201").network(0, "cifar10")
>>> network.params, network.macs, len(network)

Names are imported when they are first used, so that a space can name `Network` without NumPy.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hwnasbench.networks.counts import count_many
    from hwnasbench.networks.layers import INPUT, LAYER, Activation, Builder, Network, Op

__all__ = ["INPUT", "LAYER", "Activation", "Builder", "Network", "Op", "count_many"]

_HOMES = dict.fromkeys(__all__, "hwnasbench.networks.layers") | {"count_many": "hwnasbench.networks.counts"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
