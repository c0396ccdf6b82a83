"""OFA-MobileNetV3: five stages of two to four blocks, a kernel and an expansion a block, a resolution.

Cai et al., "Once-for-All: Train One Network and Specialize it for Efficient Deployment", ICLR 2020,
at width 1.0. Widths, strides, activations and squeeze-and-excitation are recalled; parameters and
multiply-accumulates are checked against published subnetworks (docs/networks.md).
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

KERNELS = (3, 5, 7)
EXPANSIONS = (3, 4, 6)
DEPTHS = (2, 3, 4)
RESOLUTIONS = tuple(range(128, 225, 4))
#: Output channels, stride, whether h-swish, whether squeeze-and-excitation of each stage.
STAGES = ((24, 2, False, False), (40, 2, False, True), (80, 2, True, False), (112, 1, True, True), (160, 2, True, True))
STEM_CHANNELS, HEAD_CHANNELS, FEATURES, CLASSES = 16, 960, 1280, 1000
PER_STAGE = max(DEPTHS)
BLOCKS = PER_STAGE * len(STAGES)


class OFAMobileNetV3(TokenSpace):
    """20 kernels, 20 expansions, five depths and a resolution; blocks beyond the depth do nothing.

    Read as ``r224|2:k3e3,k5e4|...``, a stage its depth and its blocks, those beyond the depth
    given or not; as a dictionary ``{"ks": ..., "e": ..., "d": ..., "r": 224}``, or its text, with
    20 (or only the active) kernels and expansions; or as a list of 46 integers.
    """

    name = "ofa_mobilenetv3"
    title = "OFA-MobileNetV3"
    citation = "cai2020once"
    tokens = (
        *((tuple(f"k{k}" for k in KERNELS),) * BLOCKS),
        *((tuple(f"e{e}" for e in EXPANSIONS),) * BLOCKS),
        *((tuple(f"d{d}" for d in DEPTHS),) * len(STAGES)),
        tuple(f"r{r}" for r in RESOLUTIONS),
    )
    choices = tuple(map(len, tokens))
    datasets = ("imagenet",)
    notations = ("ofa",)

    # -- notations ----------------------------------------------------------------------------

    def parse(self, arch: Any, notation: str | None = None) -> Architecture:
        if notation is None and isinstance(arch, dict):
            return self._parse_foreign(arch, "ofa")
        return super().parse(arch, notation)

    def _parse_string(self, text: str) -> Architecture:
        if text.lstrip().startswith("{"):
            return self._parse_foreign(text, "ofa")
        resolution, *stages = text.strip().split("|")
        if len(stages) != len(STAGES):
            raise InvalidArchitecture(f"{text!r} is no architecture of {self.name!r}; expected 'r224|2:k3e3,k5e4|...'")
        kernels, expansions, depths = [], [], []
        for stage in stages:
            depth, _, blocks = stage.partition(":")
            words = blocks.split(",")
            if f"d{depth}" not in self.tokens[2 * BLOCKS] or not int(depth) <= len(words) <= PER_STAGE:
                raise InvalidArchitecture(f"stage {stage!r} of {text!r}: expected a depth of {DEPTHS} and its blocks")
            for word in words + ["k3e3"] * (PER_STAGE - len(words)):
                kernel, mark, expansion = word.partition("e")
                kernels.append(kernel)
                expansions.append(mark + expansion)
            depths.append(f"d{depth}")
        return Architecture(self, self._read_tokens([*kernels, *expansions, *depths, resolution]))

    def _parse_foreign(self, arch: Any, notation: str) -> Architecture:
        import ast

        try:
            settings = ast.literal_eval(arch.strip().replace("null", "None")) if isinstance(arch, str) else dict(arch)
            depths = [int(d) for d in settings["d"]]
            size = settings.get("r", settings.get("image_size", 224))
            (resolution,) = size if isinstance(size, (list, tuple)) else (size,)
            kernels, expansions = (_all_blocks(settings[key], depths) for key in ("ks", "e"))
        except (AttributeError, KeyError, SyntaxError, TypeError, ValueError):
            raise InvalidArchitecture(
                f"{arch!r} is no architecture of {self.name!r}; expected 'ks' and 'e' of {BLOCKS} (or the active) "
                f"blocks, {len(STAGES)} depths 'd' and a resolution 'r'"
            ) from None
        groups = (("k", kernels), ("e", expansions), ("d", depths), ("r", [resolution]))
        return Architecture(self, self._read_tokens([f"{mark}{value}" for mark, values in groups for value in values]))

    def format(self, arch: Any, notation: str | None = None) -> str:
        vector = self.parse(arch).vector
        if notation is None:
            return self._text(vector, [PER_STAGE] * len(STAGES))
        if notation == "ofa":
            return str(self.settings(vector))
        raise UnknownName(f"notation of {self.name}", notation, self.notations)

    def canonical(self, arch: Any) -> str:
        vector = self.parse(arch).vector
        return self._text(vector, [DEPTHS[d] for d in vector[2 * BLOCKS : -1]])

    def settings(self, arch: Any) -> dict[str, Any]:
        """Return the dictionary of kernels, expansions, depths and resolution."""
        vector = self.parse(arch).vector
        return {
            "ks": [KERNELS[v] for v in vector[:BLOCKS]],
            "e": [EXPANSIONS[v] for v in vector[BLOCKS : 2 * BLOCKS]],
            "d": [DEPTHS[v] for v in vector[2 * BLOCKS : -1]],
            "r": RESOLUTIONS[vector[-1]],
        }

    def _text(self, vector: tuple[int, ...], shown: list[int]) -> str:
        words = [names[v] for names, v in zip(self.tokens, vector, strict=True)]
        stages = [words[-1]]
        for stage, count in enumerate(shown):
            blocks = range(stage * PER_STAGE, stage * PER_STAGE + count)
            stages.append(f"{words[2 * BLOCKS + stage][1:]}:" + ",".join(words[b] + words[BLOCKS + b] for b in blocks))
        return "|".join(stages)

    # -- network ------------------------------------------------------------------------------

    def active(self, vectors: NDArray[np.int8]) -> NDArray[np.bool_]:
        import numpy as np

        depths = np.array(DEPTHS)[vectors[:, 2 * BLOCKS : -1]]
        blocks = (np.arange(PER_STAGE) < depths[:, :, None]).reshape(len(vectors), BLOCKS)
        rest = np.ones((len(vectors), len(STAGES) + 1), bool)
        return np.concatenate([blocks, blocks, rest], axis=1)

    def _input_size(self, vector: tuple[int, ...], dataset: str) -> int:
        return RESOLUTIONS[vector[-1]]

    def _blocks(self, builder: Builder, vector: tuple[int, ...], dataset: str) -> Iterator[int]:
        from hwnasbench.networks.layers import INPUT, Activation
        from hwnasbench.spaces.mbconv import divisible, inverted_residual

        x = builder.conv(INPUT, STEM_CHANNELS, 3, 2, activation=Activation.HSWISH)
        x = inverted_residual(builder, x, STEM_CHANNELS, 3, 1, STEM_CHANNELS, Activation.RELU)
        yield x
        for stage, (channels, stride, smooth, excited) in enumerate(STAGES):
            for number in range(PER_STAGE):
                if number < DEPTHS[vector[2 * BLOCKS + stage]]:
                    block = stage * PER_STAGE + number
                    wide = divisible(builder.shape(x)[0] * EXPANSIONS[vector[BLOCKS + block]])
                    x = inverted_residual(
                        builder,
                        x,
                        channels,
                        KERNELS[vector[block]],
                        1 if number else stride,
                        wide,
                        Activation.HSWISH if smooth else Activation.RELU,
                        squeeze=divisible(wide // 4) if excited else 0,
                    )
                yield x
        x = builder.global_pool(builder.conv(x, HEAD_CHANNELS, 1, activation=Activation.HSWISH))
        x = builder.conv(x, FEATURES, 1, batch_norm=False, activation=Activation.HSWISH)
        yield builder.linear(x, CLASSES)

    def slot_codes(self, vectors: NDArray[Any], dataset: str) -> NDArray[np.int64]:
        import numpy as np

        codes = np.repeat(vectors[:, -1:].astype(np.int64), BLOCKS + 2, axis=1)
        blocks = codes[:, 1:-1] * len(KERNELS) + vectors[:, :BLOCKS]
        blocks = blocks * len(EXPANSIONS) + vectors[:, BLOCKS : 2 * BLOCKS]
        codes[:, 1:-1] = np.where(self.active(vectors)[:, :BLOCKS], blocks, -1)
        return codes


def _all_blocks(given: Any, depths: list[int]) -> list[Any]:
    """Return a value a block; blocks that are not given have the first kernel and expansion, both 3."""
    values: list[Any] = list(given)
    if len(values) == sum(depths) < BLOCKS:
        filled = []
        for depth in depths:
            filled += values[:depth] + [3] * (PER_STAGE - depth)
            values = values[depth:]
        return filled
    if len(values) != BLOCKS:
        raise ValueError
    return values
