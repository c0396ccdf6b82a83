"""Networks as PyTorch code lays them out: any padding, flattening before a linear layer, and torchinfo's counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.networks.layers import LAYER, Activation, Builder, Op

if TYPE_CHECKING:
    from hwnasbench.networks import Network

_AT = LAYER.names.index("in_channels") if LAYER.names else 0
_SHAPES = 6  # in_channels ... out_width


class TorchBuilder(Builder):
    """A builder of convolutions with any padding and of linear layers on flattened images."""

    def padded(
        self,
        source: int,
        channels: int,
        kernel: int,
        padding: int,
        stride: int = 1,
        groups: int = 1,
        *,
        batch_norm: bool = False,
        activation: Activation = Activation.NONE,
    ) -> int:
        """Add a convolution with `padding` on each side, and a bias unless the batch is normalised."""
        c, h, w = self.shape(source)
        height, width = ((extent + 2 * padding - kernel) // stride + 1 for extent in (h, w))
        weights = channels * (c // groups) * kernel * kernel
        return self._append(
            Op.CONV,
            [source],
            (channels, height, width),
            kernel=kernel,
            stride=stride,
            padding=padding,
            groups=groups,
            bias=not batch_norm,
            batch_norm=batch_norm,
            activation=activation,
            params=weights + channels * (2 if batch_norm else 1),
            macs=weights * height * width,
        )

    def flat(self, source: int, features: int, *, activation: Activation = Activation.NONE) -> int:
        """Add a linear layer on the flattened image; flattening itself moves nothing."""
        c, h, w = self.shape(source)
        weights = c * h * w * features
        out = (features, 1, 1)
        number = self._append(
            Op.LINEAR, [source], out, bias=True, activation=activation, params=weights + features, macs=weights
        )
        row = self._rows[number]
        self._rows[number] = (*row[:_AT], c * h * w, features, 1, 1, 1, 1, *row[_AT + _SHAPES :])
        return number


def torchinfo_macs(network: Network) -> int:
    """Return the multiply-accumulates that torchinfo counts: biases and batch normalisation are in.

    A bias counts once an output element; the two parameters of a normalised channel count once.
    """
    layers = network.layers
    elements = layers["out_channels"].astype(np.int64) * layers["out_height"] * layers["out_width"]
    normed = 2 * layers["out_channels"].astype(np.int64) * layers["batch_norm"]
    return network.macs + int((elements * layers["bias"]).sum() + normed.sum())
