"""GraSP: what pruning a weight would do to the flow of gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.proxies.base import Proxy, passes

if TYPE_CHECKING:
    import numpy as np

    from hwnasbench.proxies.base import Batch, ProxyNetwork


def _grasp(network: ProxyNetwork, batch: Batch, _rng: np.random.Generator) -> float:
    """Return the sum of ``-weight x (Hessian x gradient)``."""
    found = passes(network, batch)
    return -float(sum((w * h).double().sum() for (w, _), h in zip(found.weights, found.curvature, strict=True)))


grasp = Proxy(
    "grasp",
    _grasp,
    "Wang et al., Picking winning tickets before training by preserving gradient flow, ICLR 2020 (recalled)",
    "NASLib, naslib/predictors/utils/pruners/measures/grasp.py",
)
