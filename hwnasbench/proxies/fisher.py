"""Fisher pruning's score of channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.proxies.base import Proxy, passes

if TYPE_CHECKING:
    import numpy as np

    from hwnasbench.proxies.base import Batch, ProxyNetwork


def _fisher(network: ProxyNetwork, batch: Batch, _rng: np.random.Generator) -> float:
    """Return the sum over output channels of half of the mean square of ``activation x gradient``, a weight each.

    The products are summed over a channel's pixels, squared, averaged over images; each channel counts as often
    as it has weights.
    """
    total = 0.0
    for layer, (output, gradient) in zip(network.weighted(), passes(network, batch).activations, strict=True):
        product = (output * gradient).flatten(2).sum(2) if output.ndim > 2 else output * gradient
        total += float(product.square().mean(0).sum().double()) / 2 * layer.weight[0].numel()
    return total


fisher = Proxy(
    "fisher",
    _fisher,
    "Theis et al., Faster gaze prediction with dense networks and Fisher pruning, 2018 (recalled)",
    "NASLib, naslib/predictors/utils/pruners/measures/fisher.py",
)
