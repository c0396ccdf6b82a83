"""FBNet: 22 searchable blocks, 9 operators a block.

Wu et al., "FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture
Search", CVPR 2019; in the form that HW-NAS-Bench (Li et al., ICLR 2021) measures, with 22 blocks.
"""

from __future__ import annotations

import itertools

from hwnasbench.errors import InvalidArchitecture, UnknownName, nearest
from hwnasbench.spaces.base import Architecture
from hwnasbench.spaces.chain import LayerwiseSpace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NamedTuple

    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.networks import Builder
else:
    from collections import namedtuple

#: Operators in the order of the space's own decision vector (HW-NAS-Bench's operator indices).
OPERATORS = ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")
SKIP = 8
#: Blocks and output channels of each searchable stage.
STAGE_BLOCKS = (1, 4, 4, 4, 4, 4, 1)
STAGE_CHANNELS = (16, 24, 32, 64, 112, 184, 352)
STEM_CHANNELS = 16

if TYPE_CHECKING:

    class Macro(NamedTuple):
        """What the data set fixes: input size, strides, header width and classes."""

        resolution: int
        stem_stride: int
        stage_strides: tuple[int, ...]
        header: int
        classes: int
else:
    Macro = namedtuple("Macro", "resolution stem_stride stage_strides header classes")

MACROS = {
    "cifar100": Macro(32, 1, (1, 1, 2, 2, 1, 2, 1), 1504, 100),
    "imagenet": Macro(224, 2, (1, 2, 2, 2, 1, 2, 1), 1984, 1000),
}


class FBNet(LayerwiseSpace):
    """The FBNet space: 9^22 layer-wise networks.

    Read as a list of 22 operator indices, a ``2_8_6_...`` string, or operator names (a list, or
    one string joined by commas or spaces). No published index: the space is not enumerable.
    """

    name = "fbnet"
    title = "FBNet"
    citation = "wu2019fbnet"
    choices = (9,) * 22
    enumerable = False
    datasets = ("cifar100", "imagenet")
    notations = ("names",)

    def parse(self, arch: Any, notation: str | None = None) -> Architecture:
        if notation is None and not isinstance(arch, str) and self._are_names(arch):
            return self._parse_foreign(arch, "names")
        return super().parse(arch, notation)

    @staticmethod
    def _are_names(arch: Any) -> bool:
        return isinstance(arch, (list, tuple)) and len(arch) > 0 and all(isinstance(name, str) for name in arch)

    def _parse_string(self, text: str) -> Architecture:
        parts = text.strip(" ()[]").replace(", ", "_").replace(",", "_").split("_")
        if all(part.isdecimal() and part.isascii() for part in parts):
            return Architecture(self, self._check_vector([int(part) for part in parts]))
        return self._parse_foreign(text.replace(",", " ").split(), "names")

    def _parse_foreign(self, arch: Any, notation: str) -> Architecture:
        names = arch.replace(",", " ").split() if isinstance(arch, str) else arch
        if not self._are_names(names):
            raise InvalidArchitecture(f"{arch!r} is no sequence of operator names; known: {', '.join(OPERATORS)}")
        vector = []
        for name in names:
            if name not in OPERATORS:
                close = nearest(name, OPERATORS, 1)
                hint = f"did you mean {close[0]!r}? " if close else ""
                raise InvalidArchitecture(f"unknown operator {name!r} of 'fbnet'; {hint}known: {', '.join(OPERATORS)}")
            vector.append(OPERATORS.index(name))
        return Architecture(self, self._check_vector(vector))

    def vectors(self, archs: Any) -> NDArray[np.int8]:
        import numpy as np

        if isinstance(archs, (list, tuple)) and archs and all(type(a) is str and len(a) == 43 for a in archs):
            try:
                letters = np.frombuffer("".join(archs).encode("ascii"), np.uint8).reshape(-1, 43)
            except UnicodeEncodeError:
                return super().vectors(archs)
            digits = letters[:, ::2] - np.uint8(ord("0"))
            if (letters[:, 1::2] == ord("_")).all() and (digits < 9).all():
                return digits.astype(np.int8)
        return super().vectors(archs)

    def format(self, arch: Any, notation: str | None = None) -> str:
        vector = self.parse(arch).vector
        if notation is None:
            return "_".join(map(str, vector))
        if notation == "names":
            return ",".join(OPERATORS[v] for v in vector)
        raise UnknownName("notation of fbnet", notation, self.notations)

    def _graph_features(self, vectors: NDArray[np.int8]) -> NDArray[np.float32]:
        """Count each operator in each stage (63 features)."""
        import numpy as np

        edges = np.cumsum((0, *STAGE_BLOCKS))
        counts = [
            (vectors[:, first:last, None] == np.arange(9, dtype=np.int8)).sum(axis=1)
            for first, last in itertools.pairwise(edges)
        ]
        return np.concatenate(counts, axis=1).astype(np.float32)

    def feature_names(self, kind: str = "one_hot") -> list[str]:
        if kind == "one_hot":
            return [f"{op}@{position}" for position in range(22) for op in OPERATORS]
        return [f"count:{op}@stage{stage + 1}" for stage in range(7) for op in OPERATORS]

    def _input_size(self, vector: tuple[int, ...], dataset: str) -> int:
        return MACROS[dataset].resolution

    def _blocks(self, builder: Builder, vector: tuple[int, ...], dataset: str) -> Iterator[int]:
        from hwnasbench.spaces.fbnet_network import blocks

        return blocks(builder, vector, dataset)

    def slot_codes(self, vectors: NDArray[Any], dataset: str) -> NDArray[np.int64]:
        import numpy as np

        codes = np.zeros((len(vectors), len(self.choices) + 2), np.int64)
        codes[:, 1:-1] = vectors
        return codes
