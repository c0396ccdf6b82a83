"""Random weights of a network, the same for every engine, so that their answers can be held against PyTorch's.

The time of an inference does not depend on the values, as long as none is denormal, infinite or NaN: weights are drawn
so that activations neither die out nor explode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.networks.layers import Op

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from hwnasbench.networks.layers import Network
    from hwnasbench.networks.torch_module import TorchNetwork


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of one layer, its batch normalisation folded in.

    Attributes
    ----------
    weight : ndarray of float32 or None
        (out, in / groups, kernel, kernel) of a convolution, (out, in) of a linear layer, (channels,) of a batch
        normalisation that no convolution absorbs; None of layers without weights.
    bias : (out,) ndarray of float32 or None
    """

    weight: NDArray[np.float32] | None = None
    bias: NDArray[np.float32] | None = None


def draw(network: Network, seed: int = 0) -> list[Weights]:
    """Draw the weights of each layer, normal with variance 2 / fan-in (He et al. 2015, recalled); small biases.

    Parameters
    ----------
    network : Network
    seed : int
    """
    rng = np.random.default_rng(seed)
    return [_of(row, rng) for row in network.layers]


def _of(row: np.void, rng: np.random.Generator) -> Weights:
    c_in, c_out, kernel = int(row["in_channels"]), int(row["out_channels"]), int(row["kernel"])
    match Op(int(row["op"])):
        case Op.CONV:
            shape: tuple[int, ...] = (c_out, c_in // int(row["groups"]), kernel, kernel)
        case Op.LINEAR:
            shape = (c_out, c_in)
        case Op.NORM:
            return Weights(_normal(rng, (c_out,), 0.1) + np.float32(1), _normal(rng, (c_out,), 0.1))
        case _:
            return Weights()
    fan_in = int(np.prod(shape[1:]))
    weight = _normal(rng, shape, float(np.sqrt(2 / fan_in)))
    return Weights(weight, _normal(rng, (c_out,), 0.1) if row["bias"] or row["batch_norm"] else None)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> NDArray[np.float32]:
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)


def images(network: Network, batch: int, seed: int = 0) -> NDArray[np.float32]:
    """Draw inputs from N(0, 1), shape (batch, channels, height, width)."""
    return np.random.default_rng([seed, 1]).standard_normal((batch, *network.input_shape), dtype=np.float32)


def load_into(module: TorchNetwork, weights: list[Weights]) -> None:
    """Give a PyTorch module in evaluation mode these weights.

    Parameters
    ----------
    module : TorchNetwork
        Of the network that the weights were drawn for.
    weights : list of Weights
    """
    import torch
    from torch import nn

    with torch.no_grad():
        for layer, values in zip(module.layers, weights, strict=True):
            if values.weight is None:
                continue
            core: nn.Module | None = None
            for part in layer.modules():
                if isinstance(part, nn.Conv2d | nn.Linear):
                    core = part
                    part.weight.copy_(torch.from_numpy(values.weight))
                    if part.bias is not None and values.bias is not None:
                        part.bias.copy_(torch.from_numpy(values.bias))
                elif isinstance(part, nn.BatchNorm2d):
                    _absorbed(part, values, alone=core is None, biased=core is not None and core.bias is not None)


def _absorbed(norm: nn.BatchNorm2d, values: Weights, *, alone: bool, biased: bool) -> None:
    """Make a batch normalisation add the bias alone, or scale and shift where no convolution stands before it."""
    import torch

    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.fill_(1)
    norm.bias.zero_()
    if values.bias is not None and not biased:
        norm.bias.copy_(torch.from_numpy(values.bias))
    if alone and values.weight is not None:
        norm.weight.copy_(torch.from_numpy(values.weight))
