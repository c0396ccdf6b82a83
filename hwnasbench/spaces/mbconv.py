"""The inverted residual block, as the mobile spaces share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.networks.layers import Activation

if TYPE_CHECKING:
    from hwnasbench.networks.layers import Builder


def divisible(channels: float, by: int = 8) -> int:
    """Round to a multiple of `by` that is at least nine tenths of `channels` (MobileNetV2's rule; recalled)."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded


def inverted_residual(
    builder: Builder,
    x: int,
    channels: int,
    kernel: int,
    stride: int,
    wide: int,
    activation: Activation = Activation.RELU6,
    *,
    squeeze: int = 0,
    gates: tuple[Activation, Activation] = (Activation.RELU, Activation.HSIGMOID),
) -> int:
    """Add a block: 1 x 1 to `wide` channels, depthwise `kernel`, 1 x 1 to `channels`.

    Parameters
    ----------
    builder : Builder
    x : int
        The layer that the block reads.
    channels, kernel, stride : int
    wide : int
        Inner channels; where they equal the input's there is no first convolution.
    activation : Activation
        After the first two convolutions.
    squeeze : int
        Inner channels of squeeze-and-excitation after the depthwise convolution; 0 is none.
    gates : tuple of Activation
        The two non-linearities of squeeze-and-excitation.

    Returns
    -------
    int
        The last layer; the input is added where the shape is kept.
    """
    c_in = builder.shape(x)[0]
    y = x if wide == c_in else builder.conv(x, wide, 1, activation=activation)
    y = builder.conv(y, wide, kernel, stride, groups=wide, activation=activation)
    if squeeze:
        gate = builder.global_pool(y)
        gate = builder.conv(gate, squeeze, 1, bias=True, batch_norm=False, activation=gates[0])
        gate = builder.conv(gate, wide, 1, bias=True, batch_norm=False, activation=gates[1])
        y = builder.mul(y, gate)
    y = builder.conv(y, channels, 1)
    return builder.add([x, y]) if stride == 1 and c_in == channels else y
