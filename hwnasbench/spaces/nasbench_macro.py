"""NAS-Bench-Macro: eight layers, each nothing or an inverted residual block.

Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search", CVPR 2021. The macro-
architecture is inferred from the published counts; see `NASBenchMacro`.
"""

from __future__ import annotations

from hwnasbench.errors import InvalidArchitecture, UnknownName
from hwnasbench.spaces.base import Architecture
from hwnasbench.spaces.tokens import TokenSpace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.networks import Builder

OPERATORS = ("Identity", "MB3_K3", "MB6_K5")
#: Output channels and stride of each layer.
LAYERS = ((64, 2), (64, 1), (128, 2), (128, 1), (128, 1), (256, 2), (256, 1), (256, 1))
STEM_CHANNELS, HEAD_CHANNELS, CLASSES = 32, 1280, 10
RESOLUTION = 32


class NASBenchMacro(TokenSpace):
    """3^8 networks: a stem, eight layers of {Identity, MB3_K3, MB6_K5} in three stages, a head.

    Read as the eight digits of the published file (``22212220``), as a list of integers, or as
    the index, which is the number that the digits are in base 3. Identity is a 1 x 1 convolution
    with batch normalisation where the layer changes the shape, else nothing. Stem and head have
    ReLU6 and blocks are MobileNetV2's, as far as counts cannot tell.
    """

    name = "nasbench_macro"
    title = "NAS-Bench-Macro"
    citation = "su2021prioritized"
    tokens = (OPERATORS,) * len(LAYERS)
    choices = (len(OPERATORS),) * len(LAYERS)
    enumerable = True
    datasets = ("cifar10",)
    movable = ((3, 5), (6, 8))
    nothing = 0

    def _parse_string(self, text: str) -> Architecture:
        digits = text.strip()
        if len(digits) != len(LAYERS) or set(digits) - set("012"):
            raise InvalidArchitecture(f"{text!r} is no architecture of {self.name!r}; expected 8 digits of 0, 1 and 2")
        return Architecture(self, tuple(map(int, digits)))

    def format(self, arch: Any, notation: str | None = None) -> str:
        if notation is not None:
            raise UnknownName(f"notation of {self.name}", notation, self.notations)
        return "".join(map(str, self.parse(arch).vector))

    def index(self, arch: Any) -> int:
        return int(self.format(arch), len(OPERATORS))

    def from_index(self, index: int) -> Architecture:
        if not 0 <= index < self.size:
            raise InvalidArchitecture(f"index {index} of {self.name!r}: expected 0 to {self.size - 1}")
        return Architecture(self, tuple(index // 3**power % 3 for power in reversed(range(len(LAYERS)))))

    def code(self, text: str) -> int:
        return self.index(text)

    def index_by_code(self) -> range:
        return range(self.size)

    def all_vectors(self) -> NDArray[np.int8]:
        """Return the decisions of every architecture, row = index."""
        import numpy as np

        return (np.arange(self.size)[:, None] // 3 ** np.arange(len(LAYERS))[::-1] % 3).astype(np.int8)

    def indices(self, archs: Any) -> NDArray[np.intp]:
        import numpy as np

        if isinstance(archs, np.ndarray) and archs.ndim == 1 and archs.dtype.kind in "iu":
            bad = (archs < 0) | (archs >= self.size)
            if bad.any():
                self.from_index(int(archs[bad.argmax()]))
            return archs.astype(np.intp)
        return self.vectors(archs).astype(np.intp) @ 3 ** np.arange(len(LAYERS), dtype=np.intp)[::-1]

    def _input_size(self, vector: tuple[int, ...], dataset: str) -> int:
        return RESOLUTION

    def _blocks(self, builder: Builder, vector: tuple[int, ...], dataset: str) -> Iterator[int]:
        from hwnasbench.networks.layers import INPUT, Activation
        from hwnasbench.spaces.mbconv import inverted_residual

        x = builder.conv(INPUT, STEM_CHANNELS, 3, activation=Activation.RELU6)
        yield x
        for choice, (channels, stride) in zip(vector, LAYERS, strict=True):
            if choice:
                kernel, expansion = ((3, 3), (5, 6))[choice - 1]
                x = inverted_residual(builder, x, channels, kernel, stride, builder.shape(x)[0] * expansion)
            elif stride > 1:
                x = builder.conv(x, channels, 1, stride)
            yield x
        x = builder.conv(x, HEAD_CHANNELS, 1, activation=Activation.RELU6)
        yield builder.linear(builder.global_pool(x), CLASSES)

    def slot_codes(self, vectors: NDArray[Any], dataset: str) -> NDArray[np.int64]:
        import numpy as np

        codes = np.zeros((len(vectors), len(LAYERS) + 2), np.int64)
        keeps = np.array([stride == 1 for _, stride in LAYERS])
        codes[:, 1:-1] = np.where((vectors == 0) & keeps, -1, vectors)
        return codes
