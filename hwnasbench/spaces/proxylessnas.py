"""ProxylessNAS: 21 searchable inverted residual blocks.

Cai et al., "ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware", ICLR 2019.
Widths, strides and the fixed first block are those of the shapes in the published Pixel 1 table
of block latencies (``mobile_trim.yaml``), 24 channels in the first stage. The networks that were
released have 32 there (recalled), and so are not of this space. Single-Path NASNet is.
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

KERNELS = (3, 5, 7)
EXPANSIONS = (3, 6)
ZERO = 6
OPERATORS = tuple(f"k{k}e{e}" for e in EXPANSIONS for k in KERNELS)
#: Output channels, blocks and stride of each searchable stage.
STAGES = ((24, 4, 2), (40, 4, 2), (80, 4, 2), (96, 4, 1), (192, 4, 2), (320, 1, 1))
STEM_CHANNELS, FIRST_CHANNELS, HEAD_CHANNELS, CLASSES = 32, 16, 1280, 1000
RESOLUTION = 224
BLOCKS = sum(stage[1] for stage in STAGES)


class ProxylessNAS(TokenSpace):
    """21 blocks of kernel {3, 5, 7} and expansion {3, 6}, or nothing where the block keeps its shape.

    Read as ``k3e3_zero_k7e6_...`` or as a list of integers; ``zero`` is 6.
    """

    name = "proxylessnas"
    title = "ProxylessNAS"
    citation = "cai2019proxylessnas"
    tokens = tuple(
        OPERATORS if number == 0 else (*OPERATORS, "zero") for _, blocks, _ in STAGES for number in range(blocks)
    )
    choices = tuple(map(len, tokens))
    datasets = ("imagenet",)
    nothing = ZERO
    movable = tuple((first + 1, first + 4) for first in range(0, BLOCKS - 1, 4))

    def _input_size(self, vector: tuple[int, ...], dataset: str) -> int:
        return RESOLUTION

    def _blocks(self, builder: Builder, vector: tuple[int, ...], dataset: str) -> Iterator[int]:
        from hwnasbench.networks.layers import INPUT, Activation
        from hwnasbench.spaces.mbconv import inverted_residual

        x = builder.conv(INPUT, STEM_CHANNELS, 3, 2, activation=Activation.RELU6)
        x = inverted_residual(builder, x, FIRST_CHANNELS, 3, 1, STEM_CHANNELS)
        yield x
        choices = iter(vector)
        for channels, blocks, stride in STAGES:
            for number in range(blocks):
                choice = next(choices)
                if choice != ZERO:
                    expansion, kernel = divmod(choice, len(KERNELS))
                    wide = builder.shape(x)[0] * EXPANSIONS[expansion]
                    x = inverted_residual(builder, x, channels, KERNELS[kernel], 1 if number else stride, wide)
                yield x
        x = builder.conv(x, HEAD_CHANNELS, 1, activation=Activation.RELU6)
        yield builder.linear(builder.global_pool(x), CLASSES)

    def slot_codes(self, vectors: NDArray[Any], dataset: str) -> NDArray[np.int64]:
        import numpy as np

        codes = np.zeros((len(vectors), BLOCKS + 2), np.int64)
        codes[:, 1:-1] = np.where(vectors == ZERO, -1, vectors)
        return codes
