"""The macro-architecture of NAS-Bench-101 and the layer table of its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.networks.layers import INPUT, Activation, Builder, Network
from hwnasbench.spaces.nasbench101 import OPERATORS, pruned

if TYPE_CHECKING:
    from hwnasbench.spaces.base import Architecture

#: Channels of the stem, stacks, and cells a stack (``config.py`` of google-research/nasbench).
STEM_CHANNELS = 128
STACKS = 3
CELLS = 3
CLASSES = 10


def build(arch: Architecture, dataset: str) -> Network:
    """Lay out a cell at CIFAR-10's input size.

    A 3x3 stem of 128 channels; three stacks of three cells, between them a 2x2 maximum and twice the
    channels; global average and a linear layer. Every convolution has batch normalisation and ReLU.
    As in ``model_builder.py`` of google-research/nasbench: the output's channels are divided among
    the vertices that feed it, the earlier ones taking what is left over; another vertex has as many
    as the widest that it feeds; a vertex with one channel too many is cut; whatever leaves the input
    passes a 1x1 convolution; the output is a concatenation, to which the input is added.

    Parameters
    ----------
    arch : Architecture
        A cell of the space.
    dataset : str
        ``cifar10``.

    Returns
    -------
    Network
    """
    matrix, names = pruned(arch.vector)
    builder = Builder((3, 32, 32))
    x = _conv(builder, INPUT, STEM_CHANNELS, 3)
    channels = STEM_CHANNELS
    for stack in range(STACKS):
        if stack:
            x = builder.max_pool(x, 2, 2, 0)
            channels *= 2
        for _ in range(CELLS):
            x = _cell(builder, x, channels, matrix, names)
    builder.linear(builder.global_pool(x), CLASSES)
    return builder.build(str(arch), dataset)


def vertex_channels(channels_in: int, channels_out: int, matrix: list[list[int]]) -> list[int]:
    """Return the channels of every vertex of a pruned cell, those of the input and output included."""
    n = len(matrix)
    channels = [channels_in] + [0] * (n - 2) + [channels_out]
    feeding = [v for v in range(1, n - 1) if matrix[v][-1]]
    for number, v in enumerate(feeding):
        channels[v] = channels_out // len(feeding) + (number < channels_out % len(feeding))
    for v in range(n - 3, 0, -1):
        if not matrix[v][-1]:
            channels[v] = max(channels[t] for t in range(v + 1, n - 1) if matrix[v][t])
    return channels


def _conv(builder: Builder, source: int, channels: int, kernel: int) -> int:
    return builder.conv(source, channels, kernel, activation=Activation.RELU)


def _cell(builder: Builder, x: int, channels: int, matrix: list[list[int]], names: list[str]) -> int:
    n = len(matrix)
    widths = vertex_channels(builder.shape(x)[0], channels, matrix)
    values = [x]
    for v in range(1, n - 1):
        terms = [_cut(builder, values[s], widths[v]) for s in range(1, v) if matrix[s][v]]
        if matrix[0][v]:
            terms.append(_conv(builder, x, widths[v], 1))
        value = builder.add(terms) if len(terms) > 1 else terms[0]
        match OPERATORS.index(names[v - 1]):
            case 0:
                value = _conv(builder, value, widths[v], 3)
            case 1:
                value = _conv(builder, value, widths[v], 1)
            case _:
                value = builder.max_pool(value, 3, 1, 1)
        values.append(value)
    outputs = [values[v] for v in range(1, n - 1) if matrix[v][-1]]
    if not outputs:
        return _conv(builder, x, channels, 1)
    y = builder.concat(outputs) if len(outputs) > 1 else outputs[0]
    return builder.add([y, _conv(builder, x, channels, 1)]) if matrix[0][-1] else y


def _cut(builder: Builder, source: int, channels: int) -> int:
    return source if builder.shape(source)[0] == channels else builder.channels_of(source, 0, channels)
