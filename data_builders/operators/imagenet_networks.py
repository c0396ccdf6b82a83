"""Well-known networks at ImageNet's size, as torchvision and pretrainedmodels build them (recalled).

That each is right is checked where it is used: parameters and multiply-accumulates against published ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_builders.operators.torch_layouts import TorchBuilder
from hwnasbench import spaces
from hwnasbench.networks.layers import INPUT, Activation
from hwnasbench.spaces.mbconv import inverted_residual
from hwnasbench.spaces.mobilenetv2 import ORIGINAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwnasbench.networks import Network

_RELU, _SWISH = Activation.RELU, Activation.SWISH
_SIZE = (3, 224, 224)
_CLASSES = 1000


def _vgg(depths: tuple[int, ...]) -> TorchBuilder:
    builder, x = TorchBuilder(_SIZE), INPUT
    for depth, channels in zip(depths, (64, 128, 256, 512, 512), strict=True):
        for _ in range(depth):
            x = builder.padded(x, channels, 3, 1, activation=_RELU)
        x = builder.max_pool(x, 2, 2, 0)
    x = builder.flat(x, 4096, activation=_RELU)
    builder.flat(builder.flat(x, 4096, activation=_RELU), _CLASSES)
    return builder


def _resnet50() -> TorchBuilder:
    builder = TorchBuilder(_SIZE)
    x = builder.max_pool(builder.conv(INPUT, 64, 7, 2, activation=_RELU), 3, 2, 1)
    for stage, depth in enumerate((3, 4, 6, 3)):
        wide = 64 << stage
        for block in range(depth):
            stride = 2 if stage and not block else 1
            shortcut = x if block else builder.conv(x, 4 * wide, 1, stride)
            y = builder.conv(x, wide, 1, activation=_RELU)
            y = builder.conv(y, wide, 3, stride, activation=_RELU)
            x = builder.add([builder.conv(y, 4 * wide, 1), shortcut], activation=_RELU)
    builder.linear(builder.global_pool(x), _CLASSES)
    return builder


def _inverted(builder: TorchBuilder, x: int, channels: int, kernel: int, expand: int, stride: int) -> int:
    """Add an inverted residual block; its squeeze-and-excitation has a quarter of the block's input channels."""
    gates, before = (_SWISH, Activation.SIGMOID), builder.shape(x)[0]
    wide, squeeze = before * expand, before // 4
    return inverted_residual(builder, x, channels, kernel, stride, wide, _SWISH, squeeze=squeeze, gates=gates)


def _fused(builder: TorchBuilder, x: int, channels: int, expand: int, stride: int) -> int:
    before = builder.shape(x)[0]
    if expand == 1:
        y = builder.conv(x, channels, 3, stride, activation=_SWISH)
    else:
        y = builder.conv(builder.conv(x, before * expand, 3, stride, activation=_SWISH), channels, 1)
    return builder.add([y, x]) if stride == 1 and before == channels else y


def _efficientnet_b4() -> TorchBuilder:
    builder = TorchBuilder(_SIZE)
    x = builder.conv(INPUT, 48, 3, 2, activation=_SWISH)
    settings = (
        (1, 3, 24, 2, 1),
        (6, 3, 32, 4, 2),
        (6, 5, 56, 4, 2),
        (6, 3, 112, 6, 2),
        (6, 5, 160, 6, 1),
        (6, 5, 272, 8, 2),
        (6, 3, 448, 2, 1),
    )
    for expand, kernel, channels, depth, first in settings:
        for block in range(depth):
            x = _inverted(builder, x, channels, kernel, expand, 1 if block else first)
    x = builder.conv(x, 1792, 1, activation=_SWISH)
    builder.linear(builder.global_pool(x), _CLASSES)
    return builder


def _efficientnet_v2_m() -> TorchBuilder:
    builder = TorchBuilder(_SIZE)
    x = builder.conv(INPUT, 24, 3, 2, activation=_SWISH)
    for expand, channels, depth, first in ((1, 24, 3, 1), (4, 48, 5, 2), (4, 80, 5, 2)):
        for block in range(depth):
            x = _fused(builder, x, channels, expand, 1 if block else first)
    for expand, channels, depth, first in ((4, 160, 7, 2), (6, 176, 14, 1), (6, 304, 18, 2), (6, 512, 5, 1)):
        for block in range(depth):
            x = _inverted(builder, x, channels, 3, expand, 1 if block else first)
    x = builder.conv(x, 1280, 1, activation=_SWISH)
    builder.linear(builder.global_pool(x), _CLASSES)
    return builder


def _shufflenet_v2() -> TorchBuilder:
    builder = TorchBuilder(_SIZE)
    x = builder.max_pool(builder.conv(INPUT, 24, 3, 2, activation=_RELU), 3, 2, 1)
    for channels, depth in ((116, 4), (232, 8), (464, 4)):
        half = channels // 2
        for block in range(depth):
            stride = 1 if block else 2
            if block:
                left, right = builder.channels_of(x, 0, half), builder.channels_of(x, half, half)
            else:
                left = builder.conv(x, builder.shape(x)[0], 3, 2, groups=builder.shape(x)[0])
                left, right = builder.conv(left, half, 1, activation=_RELU), x
            y = builder.conv(right, half, 1, activation=_RELU)
            y = builder.conv(y, half, 3, stride, groups=half)
            y = builder.conv(y, half, 1, activation=_RELU)
            x = builder.shuffle(builder.concat([left, y]), 2)
    x = builder.conv(x, 1024, 1, activation=_RELU)
    builder.linear(builder.global_pool(x), _CLASSES)
    return builder


def _xception() -> TorchBuilder:
    builder = TorchBuilder(_SIZE)
    x = builder.padded(INPUT, 32, 3, 0, 2, batch_norm=True, activation=_RELU)
    x = builder.padded(x, 64, 3, 0, batch_norm=True, activation=_RELU)
    for channels in (128, 256, 728):
        x = _separable_block(builder, x, (channels, channels), 2, bare=channels == 128)
    for _ in range(8):
        x = _separable_block(builder, x, (728, 728, 728), 1)
    x = _separable_block(builder, x, (728, 1024), 2)
    for channels in (1536, 2048):
        x = _separable(builder, x, channels, activation=_RELU)
    builder.linear(builder.global_pool(x), _CLASSES)
    return builder


def _separable(
    builder: TorchBuilder, x: int, channels: int, *, before: Activation = Activation.NONE, activation: Activation
) -> int:
    wide = builder.shape(x)[0]
    x = builder.conv(x, wide, 3, groups=wide, batch_norm=False, pre_activation=before)
    return builder.conv(x, channels, 1, activation=activation)


def _separable_block(builder: TorchBuilder, x: int, widths: tuple[int, ...], stride: int, bare: bool = False) -> int:
    """Add Xception's block; `bare` where its input is not rectified first."""
    y = x
    for number, channels in enumerate(widths):
        before = Activation.NONE if bare and not number else _RELU
        y = _separable(builder, y, channels, before=before, activation=Activation.NONE)
    if stride == 1:
        return builder.add([y, x])
    return builder.add([builder.max_pool(y, 3, 2, 1), builder.conv(x, widths[-1], 1, 2)])


_BUILDERS: dict[str, Callable[[], TorchBuilder]] = {
    "vgg16": lambda: _vgg((2, 2, 3, 3, 3)),
    "vgg19": lambda: _vgg((2, 2, 4, 4, 4)),
    "resnet50": _resnet50,
    "shufflenet_v2_x1_0": _shufflenet_v2,
    "xception": _xception,
    "efficientnet_b4": _efficientnet_b4,
    "efficientnet_v2_m": _efficientnet_v2_m,
}


def known(name: str) -> Network:
    """Return a network by its name in torchvision (``xception``: in pretrainedmodels)."""
    if name == "mobilenet_v2":
        return spaces.get("mobilenetv2").network(ORIGINAL, "imagenet")
    return _BUILDERS[name]().build(name, "imagenet")
