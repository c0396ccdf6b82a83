"""The MnasNet space of Accel-NASBench: seven stages of expansion, kernel, depth, squeeze-and-excitation.

Ahmad et al., "Accel-NASBench: Sustainable Benchmarking for Accelerator-Aware NAS", DAC 2024. Widths,
strides and the inner channels of squeeze-and-excitation are inferred from the published counts of
5,125 networks. Counts cannot tell the non-linearities: ReLU, and a sigmoid gate, are assumptions.
"""

from __future__ import annotations

from hwnasbench.errors import InvalidArchitecture
from hwnasbench.spaces.base import Architecture
from hwnasbench.spaces.tokens import TokenSpace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.networks import Builder, Network

EXPANSIONS = (1, 4, 6)
KERNELS = (3, 5)
#: Output channels, stride and largest depth of each stage.
STAGES = ((16, 1, 3), (24, 2, 3), (40, 2, 3), (80, 2, 3), (112, 1, 3), (192, 2, 4), (320, 1, 3))
STEM_CHANNELS, HEAD_CHANNELS, CLASSES = 32, 1280, 1000
RESOLUTION = 224
#: Decisions of a stage: their keys in the published files, ``block0_e`` ...
KEYS = ("e", "k", "l", "se")


class MnasNet(TokenSpace):
    """An expansion, a kernel, a depth and squeeze-and-excitation or not in each of seven stages.

    Read as ``e1_k3_l1_se0_e6_...``, as a dictionary of the published form (``block0_e`` ...), or as
    a list of 28 integers.
    """

    name = "mnasnet"
    title = "MnasNet (Accel-NASBench)"
    citation = "ahmad2024accelnasbench"
    tokens = tuple(
        tuple(f"{key}{value}" for value in values)
        for _, _, deepest in STAGES
        for key, values in zip(KEYS, (EXPANSIONS, KERNELS, range(1, deepest + 1), (0, 1)), strict=True)
    )
    choices = tuple(map(len, tokens))
    datasets = ("imagenet",)

    def parse(self, arch: Any, notation: str | None = None) -> Architecture:
        if notation is None and isinstance(arch, dict):
            try:
                words = [f"{key}{int(arch[f'block{i}_{key}'])}" for i in range(len(STAGES)) for key in KEYS]
            except (KeyError, TypeError, ValueError):
                raise InvalidArchitecture(
                    f"{arch!r} is no architecture of {self.name!r}; expected 'block0_e' ... 'block6_se'"
                ) from None
            return Architecture(self, self._read_tokens(words))
        return super().parse(arch, notation)

    def _input_size(self, vector: tuple[int, ...], dataset: str) -> int:
        return RESOLUTION

    def _blocks(self, builder: Builder, vector: tuple[int, ...], dataset: str) -> Iterator[int]:
        from hwnasbench.networks.layers import INPUT, Activation
        from hwnasbench.spaces.mbconv import inverted_residual

        x = builder.conv(INPUT, STEM_CHANNELS, 3, 2, activation=Activation.RELU)
        yield x
        for stage, (channels, stride, deepest) in enumerate(STAGES):
            expansion, kernel, depth, excited = vector[4 * stage : 4 * stage + 4]
            for number in range(deepest):
                if number <= depth:
                    c_in = builder.shape(x)[0]
                    x = inverted_residual(
                        builder,
                        x,
                        channels,
                        KERNELS[kernel],
                        1 if number else stride,
                        c_in * EXPANSIONS[expansion],
                        Activation.RELU,
                        squeeze=c_in // 4 if excited else 0,
                        gates=(Activation.RELU, Activation.SIGMOID),
                    )
                yield x
        x = builder.conv(x, HEAD_CHANNELS, 1, activation=Activation.RELU)
        yield builder.linear(builder.global_pool(x), CLASSES)

    def slot_codes(self, vectors: NDArray[Any], dataset: str) -> NDArray[np.int64]:
        import numpy as np

        fixed = np.zeros(len(vectors), np.int64)
        columns = [fixed]
        for stage, (_, _, deepest) in enumerate(STAGES):
            expansion, kernel, depth, excited = vectors[:, 4 * stage : 4 * stage + 4].T.astype(np.int64)
            code = (expansion * len(KERNELS) + kernel) * 2 + excited
            columns += [np.where(number <= depth, code, -1) for number in range(deepest)]
        return np.stack([*columns, fixed], axis=1)


def published_macs(network: Network) -> int:
    """Count operations as the published ``macs`` of Accel-NASBench do.

    Multiply-accumulates, and 4 an element for batch normalisation, 1 for the input and 1 for the
    output of a global average. The definition is inferred from the published numbers.

    Parameters
    ----------
    network : Network
        A network of this space.

    Returns
    -------
    int
    """
    import numpy as np

    from hwnasbench.networks.layers import Op

    layers = network.layers
    outputs = layers["out_channels"].astype(np.int64) * layers["out_height"] * layers["out_width"]
    inputs = layers["in_channels"].astype(np.int64) * layers["in_height"] * layers["in_width"]
    extra = 4 * outputs * layers["batch_norm"] + (inputs + outputs) * (layers["op"] == Op.GLOBAL_POOL)
    return network.macs + int(extra.sum())
