"""NASWOT: on how many rectified units any two images of a batch agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.proxies.base import Proxy, passes

if TYPE_CHECKING:
    from hwnasbench.proxies.base import Batch, ProxyNetwork


def _naswot(network: ProxyNetwork, batch: Batch, _rng: np.random.Generator) -> float:
    """Return the logarithm of the determinant of the kernel of agreements."""
    return float(np.linalg.slogdet(passes(network, batch).forward.kernel.numpy())[1])


naswot = Proxy(
    "naswot",
    _naswot,
    "Mellor et al., Neural Architecture Search without Training, ICML 2021, arXiv 2006.04647",
    "NASLib, naslib/predictors/utils/pruners/measures/nwot.py",
)
