"""ShuffleNetV2 blocks: 20 choice blocks, 4 operators a block.

The space of Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling", ECCV
2020, at width 1, without squeeze-and-excitation. Blocks, repeats and channels as in public copies of
its model (stages of 4, 4, 8, 4 blocks with 64, 160, 320, 640 channels).
"""

from __future__ import annotations

import itertools

from hwnasbench.errors import InvalidArchitecture, UnknownName
from hwnasbench.spaces.base import Architecture, Space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.networks import Network

OPERATORS = ("shuffle_3x3", "shuffle_5x5", "shuffle_7x7", "xception")
XCEPTION = 3
STEM_CHANNELS = 16
STAGE_BLOCKS = (4, 4, 8, 4)
STAGE_CHANNELS = (64, 160, 320, 640)
HEAD_CHANNELS = 1024
BLOCKS = sum(STAGE_BLOCKS)


class ShuffleNetV2(Space):
    """4^20 networks of shuffle blocks; read as 20 decisions or as a string of 20 digits.

    ShuffleNetV2 1.0x itself is not in it: that has 16 blocks, other channels and a maximum after the stem.
    """

    name = "shufflenetv2"
    title = "ShuffleNetV2 blocks (single-path one-shot)"
    citation = "guo2020spos"
    choices = (4,) * BLOCKS
    enumerable = False
    datasets = ("imagenet",)

    def _parse_string(self, text: str) -> Architecture:
        digits = text.strip().replace("_", "").replace(",", "").replace(" ", "").strip("[]()")
        if not (digits.isdecimal() and digits.isascii()):
            raise InvalidArchitecture(f"{text!r} is not an architecture of {self.name!r}: expected {BLOCKS} digits")
        return Architecture(self, self._check_vector([int(digit) for digit in digits]))

    def format(self, arch: Any, notation: str | None = None) -> str:
        if notation is not None:
            raise UnknownName(f"notation of {self.name}", notation, self.notations)
        return "".join(map(str, self.parse(arch).vector))

    def _graph_features(self, vectors: NDArray[np.int8]) -> NDArray[np.float32]:
        """Count each operator in each stage."""
        import numpy as np

        edges = np.cumsum((0, *STAGE_BLOCKS))
        counts = [
            (vectors[:, first:last, None] == np.arange(4, dtype=np.int8)).sum(axis=1)
            for first, last in itertools.pairwise(edges)
        ]
        return np.concatenate(counts, axis=1).astype(np.float32)

    def feature_names(self, kind: str = "one_hot") -> list[str]:
        if kind == "one_hot":
            return [f"{op}@{block}" for block in range(BLOCKS) for op in OPERATORS]
        return [f"count:{op}@stage{stage + 1}" for stage in range(len(STAGE_BLOCKS)) for op in OPERATORS]

    def _network(self, arch: Architecture, dataset: str) -> Network:
        from hwnasbench.spaces.shufflenetv2_network import build

        return build(arch, dataset)
