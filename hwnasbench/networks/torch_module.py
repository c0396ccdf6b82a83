"""A layer table as a PyTorch module. The only module of the library's networks that imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.errors import InvalidRequest, MissingExtra
from hwnasbench.networks.layers import INPUT, Activation, Op

try:
    import torch
    from torch import nn
except ImportError as error:  # pragma: no cover - the tests run it in a subprocess
    raise MissingExtra("to_torch() needs PyTorch: pip install 'hwnasbench[torch]'") from error

if TYPE_CHECKING:
    from hwnasbench.networks.layers import Network


class TorchNetwork(nn.Module):
    """Runs the layers of a network in their order, each on what its edges bring.

    Parameters
    ----------
    network : Network

    Raises
    ------
    InvalidRequest
        When the network has no layers.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        if not len(network):
            raise InvalidRequest(f"{network.name!r} has no layers left to run; nothing leads from input to output")
        self.network = network
        self.layers = nn.ModuleList(_module(row) for row in network.layers)
        self._sources: list[list[int]] = [[] for _ in range(len(network))]
        for source, target in network.edges.tolist():
            self._sources[target].append(source)
        self._last_use = dict(network.edges.tolist())  # edges are sorted by target

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits (batch, classes) of images (batch, channels, height, width)."""
        values = {INPUT: images}
        for row, layer in enumerate(self.layers):
            values[row] = layer(*(values[source] for source in self._sources[row]))
            for source in set(self._sources[row]):
                if self._last_use[source] == row:
                    del values[source]
        return values[len(self.layers) - 1].flatten(1)


class _Add(nn.Module):
    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        total = inputs[0]
        for other in inputs[1:]:
            total = total + other
        return total


class _Steps(nn.Sequential):
    """Modules one after the other; the first takes every input."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        first, *rest = self
        x: torch.Tensor = first(*inputs)
        for step in rest:
            x = step(x)
        return x


class _Mul(nn.Module):
    def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return x * scale


class _Concat(nn.Module):
    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat(inputs, dim=1)


class _Slice(nn.Module):
    def __init__(self, first: int, channels: int) -> None:
        super().__init__()
        self.first, self.channels = first, channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, self.first : self.first + self.channels]


class _Zero(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 0


class _Linear(nn.Linear):
    """A linear layer on 1 x 1 images."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.flatten(1))[:, :, None, None]


_ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    Activation.RELU: nn.ReLU,
    Activation.RELU6: nn.ReLU6,
    Activation.HSWISH: nn.Hardswish,
    Activation.SWISH: nn.SiLU,
    Activation.HSIGMOID: nn.Hardsigmoid,
    Activation.SIGMOID: nn.Sigmoid,
}


def _core(row: np.void) -> nn.Module | None:
    c_in, c_out = int(row["in_channels"]), int(row["out_channels"])
    kernel, stride, padding = int(row["kernel"]), int(row["stride"]), int(row["padding"])
    groups, bias = int(row["groups"]), bool(row["bias"])
    match Op(int(row["op"])):
        case Op.CONV:
            dilation = int(row["dilation"])
            return nn.Conv2d(c_in, c_out, kernel, stride, padding, groups=groups, bias=bias, dilation=dilation)
        case Op.LINEAR:
            return _Linear(c_in, c_out, bias=bias)
        case Op.AVG_POOL:
            return nn.AvgPool2d(kernel, stride, padding, count_include_pad=False)
        case Op.GLOBAL_POOL:
            return nn.AdaptiveAvgPool2d(1)
        case Op.ADD:
            return _Add()
        case Op.NORM:
            return None
        case Op.SHUFFLE:
            return nn.ChannelShuffle(groups)
        case Op.ZERO:
            return _Zero()
        case Op.MUL:
            return _Mul()
        case Op.CONCAT:
            return _Concat()
        case Op.MAX_POOL:
            return nn.MaxPool2d(kernel, stride, padding)
        case Op.SLICE:
            return _Slice(groups - 1, c_out)


def _module(row: np.void) -> nn.Module:
    parts: list[nn.Module] = []
    if row["pre_activation"]:
        parts.append(_ACTIVATIONS[Activation(int(row["pre_activation"]))]())
    core = _core(row)
    if core is not None:
        parts.append(core)
    if row["batch_norm"]:
        parts.append(nn.BatchNorm2d(int(row["out_channels"])))
    if row["activation"]:
        parts.append(_ACTIVATIONS[Activation(int(row["activation"]))]())
    return parts[0] if len(parts) == 1 else _Steps(*parts)
