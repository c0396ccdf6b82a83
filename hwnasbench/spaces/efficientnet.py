"""EfficientNet: B0's stages with a kernel and an expansion each, and a compound scaling.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019.
Stages and scalings are recalled; parameters of B0 to B7 are checked against published ones
(docs/networks.md).
"""

from __future__ import annotations

from hwnasbench.spaces.tokens import TokenSpace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.networks import Builder

KERNELS = (3, 5)
EXPANSIONS = (1, 4, 6)
#: Output channels, blocks and stride of each stage of B0.
STAGES = ((16, 1, 1), (24, 2, 2), (40, 2, 2), (80, 3, 2), (112, 3, 1), (192, 4, 2), (320, 1, 1))
STEM_CHANNELS, HEAD_CHANNELS, CLASSES = 32, 1280, 1000
#: Tenths of B0's width and depth, and the resolution, of B0 to B7.
SCALINGS = (
    (10, 10, 224),
    (10, 11, 240),
    (11, 12, 260),
    (12, 14, 300),
    (14, 18, 380),
    (16, 22, 456),
    (18, 26, 528),
    (20, 31, 600),
)


def _depth(blocks: int, tenths: int) -> int:
    """Return a stage's blocks at a depth, rounded up."""
    return -(-blocks * tenths // 10)


#: Blocks of each stage at the largest depth: as many slots.
SLOTS = tuple(_depth(blocks, max(tenths for _, tenths, _ in SCALINGS)) for _, blocks, _ in STAGES)


class EfficientNet(TokenSpace):
    """A kernel {3, 5} and an expansion {1, 4, 6} in each of seven stages; the scaling of B0 to B7.

    Read as ``k3_e1_k3_e6_..._b0``, or as a list of 15 integers.
    """

    name = "efficientnet"
    title = "EfficientNet"
    citation = "tan2019efficientnet"
    tokens = (
        *((tuple(f"k{k}" for k in KERNELS), tuple(f"e{e}" for e in EXPANSIONS)) * len(STAGES)),
        tuple(f"b{number}" for number in range(len(SCALINGS))),
    )
    choices = tuple(map(len, tokens))
    datasets = ("imagenet",)

    def _input_size(self, vector: tuple[int, ...], dataset: str) -> int:
        return SCALINGS[vector[-1]][2]

    def _blocks(self, builder: Builder, vector: tuple[int, ...], dataset: str) -> Iterator[int]:
        from hwnasbench.networks.layers import INPUT, Activation
        from hwnasbench.spaces.mbconv import divisible, inverted_residual

        width, depth, _ = SCALINGS[vector[-1]]
        x = builder.conv(INPUT, divisible(STEM_CHANNELS * width / 10), 3, 2, activation=Activation.SWISH)
        yield x
        for stage, (channels, blocks, stride) in enumerate(STAGES):
            for number in range(SLOTS[stage]):
                if number < _depth(blocks, depth):
                    c_in = builder.shape(x)[0]
                    x = inverted_residual(
                        builder,
                        x,
                        divisible(channels * width / 10),
                        KERNELS[vector[2 * stage]],
                        1 if number else stride,
                        c_in * EXPANSIONS[vector[2 * stage + 1]],
                        Activation.SWISH,
                        squeeze=c_in // 4,
                        gates=(Activation.SWISH, Activation.SIGMOID),
                    )
                yield x
        x = builder.conv(x, divisible(HEAD_CHANNELS * width / 10), 1, activation=Activation.SWISH)
        yield builder.linear(builder.global_pool(x), CLASSES)

    def slot_codes(self, vectors: NDArray[Any], dataset: str) -> NDArray[np.int64]:
        import numpy as np

        scaling = vectors[:, -1].astype(np.int64)
        columns = [scaling]
        for stage, (_, blocks, _) in enumerate(STAGES):
            code = (scaling * len(KERNELS) + vectors[:, 2 * stage]) * len(EXPANSIONS) + vectors[:, 2 * stage + 1]
            depths = np.array([_depth(blocks, depth) for _, depth, _ in SCALINGS])[scaling]
            columns += [np.where(number < depths, code, -1) for number in range(SLOTS[stage])]
        return np.stack([*columns, scaling], axis=1)
