"""Zen score: how far a small change of a Gaussian image moves the features, batch normalisation undone."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from hwnasbench.errors import InvalidRequest
from hwnasbench.proxies.base import Proxy, generator_of

if TYPE_CHECKING:
    import numpy as np

    from hwnasbench.networks.torch_module import TorchNetwork
    from hwnasbench.proxies.base import Batch, ProxyNetwork

_STEP = 0.01


def _zen(network: ProxyNetwork, batch: Batch, rng: np.random.Generator) -> float:
    """Return ``log mean sum |f(x) - f(x + 0.01 e)| + sum log sigma``.

    x and e are Gaussian images, f the features before the global average under Gaussian weights, sigma the root of
    the mean variance of each batch normalisation's input. The variances are those of the batch of x; the code that
    the definition was read in mixes them into running means.
    """
    # It does not read the head: networks with one trunk share it.
    shape = batch.images.shape
    score = network.once("zen", batch.images, lambda: _score(network.trunk, shape, generator_of(rng)))
    return float(score)


@torch.no_grad()
def _score(trunk: TorchNetwork, shape: torch.Size, given: torch.Generator) -> float:
    drawn = copy.deepcopy(trunk)
    scales: list[float] = []
    maps: list[torch.Tensor] = []
    pools = [layer for layer in drawn.modules() if isinstance(layer, nn.AdaptiveAvgPool2d)]
    if not pools:
        raise InvalidRequest(f"{trunk.network.name!r} has no global average; the zen score reads what goes into it")
    for layer in drawn.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.normal_(generator=given)
            if layer.bias is not None:
                layer.bias.zero_()
    x, change = (torch.randn(shape, generator=given) for _ in range(2))
    hook = pools[-1].register_forward_hook(lambda _m, inputs, _o: maps.append(inputs[0]))
    norms = [layer for layer in drawn.modules() if isinstance(layer, nn.BatchNorm2d)]
    counting = [
        norm.register_forward_hook(
            lambda _m, inputs, _o: scales.append(float(inputs[0].var((0, 2, 3)).mean().double().sqrt()))
        )
        for norm in norms
    ]
    drawn(x)
    for one in counting:
        one.remove()
    drawn(x + _STEP * change)
    hook.remove()
    moved = float((maps[0] - maps[1]).abs().sum((1, 2, 3)).mean().double())
    return math.log(moved) + sum(map(math.log, scales))


zen = Proxy(
    "zen",
    _zen,
    "Lin et al., Zen-NAS: A Zero-Shot NAS for High-Performance Image Recognition, ICCV 2021 (recalled)",
    "compute_zen_score of Zen-NAS as copied in NASLib, naslib/predictors/utils/pruners/measures/zen.py",
)
