"""MobileNetV2's macro-architecture with a kernel and an expansion a block, a width and a resolution.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018 (recalled); its
own network is k3 everywhere, e1 in the first block and e6 in the others.
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
EXPANSIONS = (1, 3, 6)
WIDTHS = tuple(tenths / 10 for tenths in range(2, 11))
RESOLUTIONS = tuple(range(48, 225, 16))
#: Output channels, blocks and stride of each searchable stage at width 1.
STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
STEM_CHANNELS, HEAD_CHANNELS, CLASSES = 32, 1280, 1000
BLOCKS = sum(stage[1] for stage in STAGES)
#: MobileNetV2 itself, at width 1 and 224 x 224.
ORIGINAL = "_".join(["k3e1", *["k3e6"] * 16])


class MobileNetV2(TokenSpace):
    """17 inverted residual blocks of kernel {3, 5, 7} and expansion {1, 3, 6}; width and resolution.

    Read as ``k3e1_k3e6_..._w1.0_r224``; the last two may be left out, also of a list of integers.
    """

    name = "mobilenetv2"
    title = "MobileNetV2"
    citation = "sandler2018mobilenetv2"
    tokens = (
        *((tuple(f"k{k}e{e}" for k in KERNELS for e in EXPANSIONS),) * BLOCKS),
        tuple(f"w{width}" for width in WIDTHS),
        tuple(f"r{resolution}" for resolution in RESOLUTIONS),
    )
    choices = tuple(map(len, tokens))
    trailing = (WIDTHS.index(1.0), RESOLUTIONS.index(224))
    datasets = ("imagenet",)

    def _input_size(self, vector: tuple[int, ...], dataset: str) -> int:
        return RESOLUTIONS[vector[-1]]

    def _blocks(self, builder: Builder, vector: tuple[int, ...], dataset: str) -> Iterator[int]:
        from hwnasbench.networks.layers import INPUT, Activation
        from hwnasbench.spaces.mbconv import divisible, inverted_residual

        width = WIDTHS[vector[-2]]
        x = builder.conv(INPUT, divisible(STEM_CHANNELS * width), 3, 2, activation=Activation.RELU6)
        yield x
        choices = iter(vector)
        for channels, blocks, stride in STAGES:
            for number in range(blocks):
                kernel, expansion = divmod(next(choices), len(EXPANSIONS))
                x = inverted_residual(
                    builder,
                    x,
                    divisible(channels * width),
                    KERNELS[kernel],
                    1 if number else stride,
                    builder.shape(x)[0] * EXPANSIONS[expansion],
                )
                yield x
        x = builder.conv(x, divisible(HEAD_CHANNELS * max(1.0, width)), 1, activation=Activation.RELU6)
        yield builder.linear(builder.global_pool(x), CLASSES)

    def slot_codes(self, vectors: NDArray[Any], dataset: str) -> NDArray[np.int64]:
        import numpy as np

        shapes = vectors[:, -2].astype(np.int64) * len(RESOLUTIONS) + vectors[:, -1]
        codes = np.repeat(shapes[:, None], BLOCKS + 2, axis=1)
        codes[:, 1:-1] *= len(KERNELS) * len(EXPANSIONS)
        codes[:, 1:-1] += vectors[:, :BLOCKS]
        return codes
