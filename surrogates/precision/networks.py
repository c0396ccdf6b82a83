"""The networks of published quantisation tables at ImageNet's size, as their code builds them (recalled).

That each is right is checked by its parameters and multiply-accumulates against published ones.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from data_builders.operators import imagenet_networks
from data_builders.operators.torch_layouts import TorchBuilder
from hwnasbench.networks.layers import INPUT, Activation
from hwnasbench.spaces.mbconv import inverted_residual

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwnasbench.networks import Network

_RELU = Activation.RELU
_SIZE, _CLASSES = (3, 224, 224), 1000


def _resnet18() -> TorchBuilder:
    builder = TorchBuilder(_SIZE)
    x = builder.max_pool(builder.conv(INPUT, 64, 7, 2, activation=_RELU), 3, 2, 1)
    for stage in range(4):
        channels = 64 << stage
        for block in range(2):
            stride = 2 if stage and not block else 1
            shortcut = builder.conv(x, channels, 1, stride) if stride == 2 else x
            y = builder.conv(builder.conv(x, channels, 3, stride, activation=_RELU), channels, 3)
            x = builder.add([y, shortcut], activation=_RELU)
    builder.linear(builder.global_pool(x), _CLASSES)
    return builder


def _regnetx(depths: tuple[int, ...], widths: tuple[int, ...], group: int) -> TorchBuilder:
    builder = TorchBuilder(_SIZE)
    x = builder.conv(INPUT, 32, 3, 2, activation=_RELU)
    for depth, channels in zip(depths, widths, strict=True):
        for block in range(depth):
            stride = 1 if block else 2
            shortcut = x if block else builder.conv(x, channels, 1, 2)
            y = builder.conv(x, channels, 1, activation=_RELU)
            y = builder.conv(y, channels, 3, stride, groups=channels // group, activation=_RELU)
            x = builder.add([builder.conv(y, channels, 1), shortcut], activation=_RELU)
    builder.linear(builder.global_pool(x), _CLASSES)
    return builder


def _mnasnet_b1(width: int) -> TorchBuilder:
    builder = TorchBuilder(_SIZE)
    x = builder.conv(INPUT, 32 * width, 3, 2, activation=_RELU)
    x = builder.conv(x, builder.shape(x)[0], 3, groups=builder.shape(x)[0], activation=_RELU)
    x = builder.conv(x, 16 * width, 1)
    settings = (
        (24, 3, 2, 3, 3),
        (40, 5, 2, 3, 3),
        (80, 5, 2, 6, 3),
        (96, 3, 1, 6, 2),
        (192, 5, 2, 6, 4),
        (320, 3, 1, 6, 1),
    )
    for channels, kernel, first, expand, depth in settings:
        for block in range(depth):
            wide = builder.shape(x)[0] * expand
            x = inverted_residual(builder, x, channels * width, kernel, 1 if block else first, wide, _RELU)
    x = builder.conv(x, 1280, 1, activation=_RELU)
    builder.linear(builder.global_pool(x), _CLASSES)
    return builder


_BUILDERS: dict[str, Callable[[], TorchBuilder]] = {
    "resnet18": _resnet18,
    "regnetx600m": lambda: _regnetx((1, 3, 5, 7), (48, 96, 240, 528), 24),
    "regnetx800m": lambda: _regnetx((1, 3, 7, 5), (64, 128, 288, 672), 16),
    "regnetx3200m": lambda: _regnetx((2, 6, 15, 2), (96, 192, 432, 1008), 48),
    "mnasnet_2.0": lambda: _mnasnet_b1(2),
}
_ELSEWHERE = {"resnet50": "resnet50", "mobilenetv2_1.0": "mobilenet_v2"}


@cache
def known(name: str) -> Network:
    """Return a network by its name in MQBench's table, ``regnetx3200m`` or ``mnasnet_2.0``."""
    if name in _ELSEWHERE:
        return imagenet_networks.known(_ELSEWHERE[name])
    return _BUILDERS[name]().build(name, "imagenet")
