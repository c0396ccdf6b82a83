"""ResNets for CIFAR: blocks a stage, and the channels of every convolution.

After Yuan et al., "NAS4RRAM: Neural Network Architecture Search for Inference on RRAM-based
Accelerators", SCIENCE CHINA 2021: depth and channels from 16 to 64 in steps of 4. How the depth is
drawn is recalled; here each of three stages has 1 to 9 blocks of two 3x3 convolutions.
"""

from __future__ import annotations

from hwnasbench.errors import InvalidArchitecture, UnknownName
from hwnasbench.spaces.base import Architecture, Space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.networks import Network

STAGES = 3
MAX_BLOCKS = 9
CHANNELS = tuple(range(16, 65, 4))
_WIDE = 2 * MAX_BLOCKS


class ResNet(Space):
    """Networks of residual blocks; read as 58 decisions or as the string that `format` gives.

    The decisions are the blocks of each stage (minus 1), the stem's channels, and two channel numbers
    for each of 9 blocks of each stage; those of blocks that are not there mean nothing. The string is
    the stem and three stages joined by ``|``, blocks by ``,``: ``16|16-16,16-16|32-32|64-64``.
    """

    name = "resnet"
    title = "ResNets for CIFAR (NAS4RRAM)"
    citation = "yuan2021nas4rram"
    choices = (MAX_BLOCKS,) * STAGES + (len(CHANNELS),) * (1 + STAGES * _WIDE)
    enumerable = False
    datasets = ("cifar10", "cifar100")
    #: Of the largest network: two convolutions and a projection a block, stem and classifier.
    max_weighted_layers = 3 * STAGES * MAX_BLOCKS + 2

    def _parse_string(self, text: str) -> Architecture:
        stem, *stages = text.replace(" ", "").split("|")
        if len(stages) != STAGES:
            raise InvalidArchitecture(f"{text!r}: expected a stem and {STAGES} stages joined by '|'")
        blocks = [[block.split("-") for block in stage.split(",")] for stage in stages]
        if any(not 1 <= len(stage) <= MAX_BLOCKS or any(len(b) != 2 for b in stage) for stage in blocks):
            raise InvalidArchitecture(f"{text!r}: a stage has 1 to {MAX_BLOCKS} blocks of two channel numbers")
        vector = [len(stage) - 1 for stage in blocks] + [_width(stem)]
        for stage in blocks:
            widths = [_width(width) for block in stage for width in block]
            vector += widths + [0] * (_WIDE - len(widths))
        return Architecture(self, self._check_vector(vector))

    def format(self, arch: Any, notation: str | None = None) -> str:
        if notation is not None:
            raise UnknownName(f"notation of {self.name}", notation, self.notations)
        stem, stages = widths_of(self.parse(arch).vector)
        return "|".join([str(stem), *(",".join(f"{a}-{b}" for a, b in stage) for stage in stages)])

    def canonical_vector(self, vector: tuple[int, ...]) -> tuple[int, ...]:
        """Return the decisions with 0 for the channels of blocks that are not there."""
        return self.parse(self.format(vector)).vector

    def _graph_features(self, vectors: NDArray[np.int8]) -> NDArray[np.float32]:
        """Blocks and the mean of the channels in each stage, and the stem's channels."""
        import numpy as np

        rows = []
        for vector in vectors.tolist():
            stem, stages = widths_of(tuple(vector))
            means = [float(np.mean(stage)) for stage in stages]
            rows.append([stem, *(len(stage) for stage in stages), *means])
        return np.array(rows, np.float32).reshape(len(vectors), 1 + 2 * STAGES)

    def feature_names(self, kind: str = "one_hot") -> list[str]:
        if kind == "one_hot":
            depths = [f"blocks{n + 1}@stage{s + 1}" for s in range(STAGES) for n in range(MAX_BLOCKS)]
            places = ["stem", *(f"stage{s + 1}.{conv}" for s in range(STAGES) for conv in range(_WIDE))]
            return depths + [f"channels{c}@{place}" for place in places for c in CHANNELS]
        stages = range(1, STAGES + 1)
        return ["stem", *(f"blocks:{s}" for s in stages), *(f"mean_channels:{s}" for s in stages)]

    def _network(self, arch: Architecture, dataset: str) -> Network:
        from hwnasbench.networks.layers import INPUT, Activation, Builder

        relu = Activation.RELU
        stem, stages = widths_of(arch.vector)
        builder = Builder((3, 32, 32))
        x = builder.conv(INPUT, stem, 3, activation=relu)
        for number, stage in enumerate(stages):
            for first, (middle, out) in enumerate(stage):
                stride = 2 if number and not first else 1
                y = builder.conv(builder.conv(x, middle, 3, stride, activation=relu), out, 3)
                keeps = stride == 1 and builder.shape(x)[0] == out
                x = builder.add([x if keeps else builder.conv(x, out, 1, stride), y], activation=relu)
        builder.linear(builder.global_pool(x), {"cifar10": 10, "cifar100": 100}[dataset])
        return builder.build(str(arch), dataset)


def widths_of(vector: tuple[int, ...]) -> tuple[int, list[list[tuple[int, int]]]]:
    """Return the stem's channels, and the channels of both convolutions of each block of each stage."""
    stages = []
    for stage in range(STAGES):
        at = STAGES + 1 + stage * _WIDE
        widths = [CHANNELS[v] for v in vector[at : at + 2 * (vector[stage] + 1)]]
        stages.append(list(zip(widths[::2], widths[1::2], strict=True)))
    return CHANNELS[vector[STAGES]], stages


def _width(text: str) -> int:
    if not (text.isdecimal() and text.isascii()) or int(text) not in CHANNELS:
        raise InvalidArchitecture(f"{text!r} channels; expected a multiple of 4 from {CHANNELS[0]} to {CHANNELS[-1]}")
    return CHANNELS.index(int(text))
