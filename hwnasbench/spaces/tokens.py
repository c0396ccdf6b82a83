"""Layer-wise spaces whose decisions are words: ``k3e6_k5e3_...``."""

from __future__ import annotations

from hwnasbench.errors import InvalidArchitecture, UnknownName, nearest
from hwnasbench.spaces.base import Architecture
from hwnasbench.spaces.chain import LayerwiseSpace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

#: What `_graph_features` says of a network as a whole.
_TOTALS = ("layers", "params_M", "macs_M", "peak_M")


class TokenSpace(LayerwiseSpace):
    """Base of layer-wise spaces in which each decision is a word out of a few.

    Attributes
    ----------
    tokens : tuple of tuple of str
        The words of each position, in the order of the choices.
    trailing : tuple of int
        Choices of the last positions where strings and sequences leave these out.
    nothing : int
        The choice that adds no layers where a block keeps its shape; -1 where there is none.
    movable : tuple of (int, int)
        Ranges of positions whose blocks are alike, so that it does not matter which one is nothing.
    """

    tokens: tuple[tuple[str, ...], ...] = ()
    trailing: tuple[int, ...] = ()
    nothing: int = -1
    movable: tuple[tuple[int, int], ...] = ()

    def parse(self, arch: Any, notation: str | None = None) -> Architecture:
        short = len(self.choices) - len(self.trailing)
        if notation is None and self.trailing and not isinstance(arch, (str, bytes, dict, set)):
            shape = getattr(arch, "shape", None)
            if shape == (short,) or (shape is None and hasattr(arch, "__len__") and len(arch) == short):
                return super().parse([*arch, *self.trailing])
        return super().parse(arch, notation)

    def _parse_string(self, text: str) -> Architecture:
        return Architecture(self, self._read_tokens(text.strip().split("_")))

    def _read_tokens(self, words: Sequence[str]) -> tuple[int, ...]:
        """Turn words into choices; the trailing ones may be missing."""
        n = len(self.choices)
        if len(words) not in (n, n - len(self.trailing)):
            raise InvalidArchitecture(f"{'_'.join(words)!r} has {len(words)} decisions; {self.name!r} takes {n}")
        found = []
        for position, word in enumerate(words):
            known = self.tokens[position]
            if word not in known:
                close = nearest(word, known, 1)
                hint = f"did you mean {close[0]!r}? " if close else ""
                raise InvalidArchitecture(
                    f"decision {position} of {self.name!r} is {word!r}; {hint}known: {', '.join(known)}"
                )
            found.append(known.index(word))
        return (*found, *self.trailing[len(self.trailing) - (n - len(found)) :]) if len(found) < n else tuple(found)

    def format(self, arch: Any, notation: str | None = None) -> str:
        if notation is not None:
            raise UnknownName(f"notation of {self.name}", notation, self.notations)
        vector = self.parse(arch).vector
        return "_".join(words[choice] for words, choice in zip(self.tokens, vector, strict=True))

    def active(self, vectors: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Return which decisions matter to the network, (n, positions)."""
        import numpy as np

        return np.ones(vectors.shape, bool)

    def canonical_vectors(self, vectors: NDArray[np.int8]) -> NDArray[np.int8]:
        """Return decisions that are equal exactly for equal networks, (n, positions)."""
        import numpy as np

        same = np.where(self.active(vectors), vectors, np.int8(0))
        for first, last in self.movable:
            blocks = same[:, first:last]
            order = np.argsort(blocks == self.nothing, axis=1, kind="stable")
            same[:, first:last] = np.take_along_axis(blocks, order, axis=1)
        return same

    def canonical_vector(self, vector: tuple[int, ...]) -> tuple[int, ...]:
        import numpy as np

        return tuple(self.canonical_vectors(np.array([vector], np.int8))[0].tolist())

    def canonical(self, arch: Any) -> str:
        return self.format(self.canonical_vector(self.parse(arch).vector))

    def _graph_features(self, vectors: NDArray[np.int8]) -> NDArray[np.float32]:
        """Return totals of the network, then one column a (position, choice) that matters."""
        import numpy as np

        from hwnasbench.networks import count_many

        dataset = self.datasets[0]
        counts = count_many(self, vectors, dataset)
        peaks = self.compose(vectors, dataset).peaks
        totals = [counts["layers"], counts["params"] / 1e6, counts["macs"] / 1e6, peaks / 1e6]
        live = np.where(self.active(vectors), self.canonical_vectors(vectors), -1)
        hot = [live[:, [p]] == np.arange(n, dtype=np.int8) for p, n in enumerate(self.choices)]
        return np.concatenate([np.stack(totals, axis=1), *hot], axis=1).astype(np.float32)

    def feature_names(self, kind: str = "one_hot") -> list[str]:
        hot = [f"{word}@{position}" for position, words in enumerate(self.tokens) for word in words]
        return hot if kind == "one_hot" else [*_TOTALS, *hot]
