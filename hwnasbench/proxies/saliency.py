"""Scores summed over single weights: SNIP, plain, the norms of gradients and of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.proxies.base import Proxy, passes

if TYPE_CHECKING:
    import numpy as np

    from hwnasbench.proxies.base import Batch, ProxyNetwork

_READ = "NASLib, naslib/predictors/utils/pruners/measures/{}.py"
_ABDELFATTAH = "Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021 (recalled)"


def _snip(network: ProxyNetwork, batch: Batch, _rng: np.random.Generator) -> float:
    """Return the sum of ``|weight x gradient|``."""
    return float(sum((w * g.detach()).abs().sum().double() for w, g in passes(network, batch).weights))


def _plain(network: ProxyNetwork, batch: Batch, _rng: np.random.Generator) -> float:
    """Return the sum of ``weight x gradient``."""
    return float(sum((w * g.detach()).sum().double() for w, g in passes(network, batch).weights))


def _grad_norm(network: ProxyNetwork, batch: Batch, _rng: np.random.Generator) -> float:
    """Return the sum over layers of the Euclidean norm of the gradient."""
    return float(sum(g.detach().norm().double() for _, g in passes(network, batch).weights))


def _l2_norm(network: ProxyNetwork, _batch: Batch, _rng: np.random.Generator) -> float:
    """Return the sum over layers of the Euclidean norm of the weights."""
    return float(sum(layer.weight.detach().norm().double() for layer in network.weighted()))


snip = Proxy("snip", _snip, "Lee et al., SNIP, ICLR 2019 (recalled)", _READ.format("snip"))
plain = Proxy("plain", _plain, _ABDELFATTAH, _READ.format("plain"))
grad_norm = Proxy("grad_norm", _grad_norm, _ABDELFATTAH, _READ.format("grad_norm"))
l2_norm = Proxy("l2_norm", _l2_norm, _ABDELFATTAH, _READ.format("l2_norm"))
