"""SynFlow: the paths through a network, weighed by the magnitudes of their weights; no data."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn

from hwnasbench.proxies.base import Proxy

if TYPE_CHECKING:
    import numpy as np

    from hwnasbench.networks.torch_module import TorchNetwork
    from hwnasbench.proxies.base import Batch, ProxyNetwork


def _synflow(network: ProxyNetwork, _batch: Batch, _rng: np.random.Generator) -> float:
    """Return the sum of ``|weight x dR/dweight|``: R sums the logits of an image of ones, all weights made positive.

    In float64 and without batch normalisation, so that the products neither overflow nor are scaled away.
    """
    weights, features = network.once("synflow", network.trunk, lambda: _pass(network.trunk))
    head = network.head.weight.detach().double().abs().requires_grad_(True)
    bias = network.head.bias.detach().double().abs()
    total = nn.functional.linear(features, head, bias).sum()
    found = torch.autograd.grad(total, [*weights, head], retain_graph=True)
    return float(sum((w.detach() * g).abs().sum() for w, g in zip([*weights, head], found, strict=True)))


def _pass(trunk: TorchNetwork) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Return a trunk's weights, made positive, and the features of an image of ones."""
    linear = _without_norms(copy.deepcopy(trunk)).double()
    with torch.no_grad():
        for values in linear.parameters():
            values.abs_()
    weights = [layer.weight for layer in linear.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    return weights, linear(torch.ones(1, *trunk.network.input_shape, dtype=torch.float64))


def _without_norms(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.Identity())
        else:
            _without_norms(child)
    return module


synflow = Proxy(
    "synflow",
    _synflow,
    "Tanaka et al., Pruning neural networks without any data by iteratively conserving synaptic flow, 2020 (recalled)",
    "NASLib, naslib/predictors/utils/pruners/measures/synflow.py",
)
