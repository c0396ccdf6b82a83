"""How large a network is: the proxies that every other is to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.proxies.base import Proxy

if TYPE_CHECKING:
    import numpy as np

    from hwnasbench.proxies.base import Batch, ProxyNetwork


def _params(network: ProxyNetwork, _batch: Batch, _rng: np.random.Generator) -> float:
    """Return the trainable parameters of the live layers."""
    return float(sum(values.numel() for values in network.parameters()))


def _macs(network: ProxyNetwork, _batch: Batch, _rng: np.random.Generator) -> float:
    """Return the multiply-accumulates of one image in the live layers."""
    return float(network.trunk.network.macs + network.head.weight.numel())


params = Proxy("params", _params, "a count", "hwnasbench")
macs = Proxy("macs", _macs, "a count", "hwnasbench")
