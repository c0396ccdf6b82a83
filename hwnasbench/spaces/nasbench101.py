"""NAS-Bench-101: cells of up to 7 vertices and 9 edges, 3 operators a vertex.

Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019. The rules
of a cell are those of ``api.py``, ``model_spec.py`` and ``graph_util.py`` of google-research/nasbench.
"""

from __future__ import annotations

from functools import lru_cache

from hwnasbench.errors import InvalidArchitecture, InvalidRequest, UnknownName, nearest
from hwnasbench.spaces.base import Architecture, Space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.networks import Network

VERTICES = 7
MAX_EDGES = 9
#: Operators of the inner vertices, in the published order (their numbers enter the published hash).
OPERATORS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
#: (source, target) of each bit of the decision vector: the upper triangle, row by row.
EDGES = tuple((source, target) for source in range(VERTICES) for target in range(source + 1, VERTICES))
_BITS = len(EDGES)
#: How many distinct cells the published data set holds (google-research/nasbench README.md).
PUBLISHED_CELLS = 423_624


class NasBench101(Space):
    """Cells as a directed graph: 21 bits of an upper triangle, then 5 operators of the inner vertices.

    Vertex 0 is the input and vertex 6 the output. A cell of fewer vertices leaves some without edges.
    Read as a vector of 26 decisions, as the string that `format` gives, or, by the notation
    ``matrix``, as the published pair (matrix, operators) of any size up to 7. A cell without a path
    from the input to the output, or with more than 9 edges on such paths, is no architecture.
    """

    name = "nasbench101"
    title = "NAS-Bench-101"
    citation = "ying2019nasbench101"
    choices = (2,) * _BITS + (3,) * (VERTICES - 2)
    enumerable = False
    datasets = ("cifar10",)
    notations = ("matrix",)
    #: Convolutions and linear layers of the largest network: 5 operators and 4 projections a cell, stem, classifier.
    max_weighted_layers = 9 * 9 + 2

    @property
    def size(self) -> int:
        """Number of distinct published cells; many decision vectors stand for each."""
        return PUBLISHED_CELLS

    # -- notations ----------------------------------------------------------------------------

    def _check_vector(self, values: Sequence[Any]) -> tuple[int, ...]:
        vector = super()._check_vector(values)
        fault = _fault_of(vector)
        if fault:
            raise InvalidArchitecture(f"{list(vector)!r} is no cell of {self.name!r}: {fault}")
        return vector

    def _check_bounds(self, archs: NDArray[Any]) -> None:
        import numpy as np

        super()._check_bounds(archs)
        bad = np.flatnonzero(~_valid(archs))
        if len(bad):
            row = int(bad[0])
            fault = _fault_of(tuple(int(v) for v in archs[row]))
            raise InvalidArchitecture(f"row {row} is no cell of {self.name!r}: {fault}")

    def _parse_string(self, text: str) -> Architecture:
        bits, _, names = text.strip().partition(":")
        digits = bits.replace("_", "")
        if len(digits) != _BITS or set(digits) - {"0", "1"}:
            raise InvalidArchitecture(f"{text!r}: expected {_BITS} bits (rows joined by _), ':' and 5 operators")
        vector = [int(d) for d in digits] + [_operator(name) for name in names.split(",")]
        return Architecture(self, self._check_vector(vector))

    def _parse_foreign(self, arch: Any, notation: str) -> Architecture:
        try:
            matrix, operators = arch
            rows = [[int(v) for v in row] for row in matrix]
            names = [str(name) for name in operators]
        except (TypeError, ValueError):
            raise InvalidArchitecture(f"{arch!r} is no pair (adjacency matrix, operators)") from None
        n = len(rows)
        if not 2 <= n <= VERTICES or any(len(row) != n for row in rows) or len(names) != n:
            raise InvalidArchitecture(
                f"a cell has 2 to {VERTICES} vertices, a square matrix and as many operators (with input and output)"
            )
        if any(rows[s][t] not in (0, 1) or (rows[s][t] and t <= s) for s in range(n) for t in range(n)):
            raise InvalidArchitecture("the adjacency matrix holds 0 and 1 above its diagonal, and 0 elsewhere")
        number = [*range(n - 1), VERTICES - 1]
        edges = {(number[s], number[t]) for s in range(n) for t in range(n) if rows[s][t]}
        inner = [_operator(name) for name in names[1:-1]]
        vector = [int(edge in edges) for edge in EDGES] + inner + [0] * (VERTICES - n)
        return Architecture(self, self._check_vector(vector))

    def format(self, arch: Any, notation: str | None = None) -> str:
        vector = self.parse(arch).vector
        if notation == "matrix":
            matrix, names = pruned(vector)
            return repr((matrix, ["input", *names, "output"]))
        if notation is not None:
            raise UnknownName(f"notation of {self.name}", notation, self.notations)
        return _text(vector)

    # -- structure ----------------------------------------------------------------------------

    def canonical(self, arch: Any) -> str:
        """Return the published hash: equal for cells that are one graph once unused vertices are gone."""
        matrix, names = pruned(self.parse(arch).vector)
        return published_hash(matrix, [OPERATORS.index(name) for name in names])

    def graph_key(self, arch: Any) -> str:
        """Return the cell without unused vertices, in the order of its own.

        Cells of one `canonical` may differ here: where channels do not divide evenly, the earlier
        vertices get the channel more, so that the order of the vertices matters to cost.
        """
        return self.format(arch, "matrix")

    def canonical_vector(self, vector: tuple[int, ...]) -> tuple[int, ...]:
        """Return the decisions of the cell without unused vertices, which `graph_key` tells apart."""
        matrix, names = pruned(vector)
        return self._parse_foreign((matrix, ["input", *names, "output"]), "matrix").vector

    def neighbours(self, arch: Any) -> list[Architecture]:
        """Return every valid cell that differs in exactly one decision."""
        return [near for near in super().neighbours(arch) if not _fault_of(near.vector)]

    def sample_many(self, rng: np.random.Generator, n: int) -> NDArray[np.int8]:
        """Draw `n` valid decision vectors, each equally likely."""
        import numpy as np

        if not isinstance(rng, np.random.Generator):
            raise InvalidRequest(
                f"sample needs a numpy.random.Generator, got {type(rng).__name__}; use numpy.random.default_rng(seed)"
            )
        found = np.empty((0, len(self.choices)), np.int8)
        while len(found) < n:
            drawn = super().sample_many(rng, 4 * n)
            found = np.concatenate([found, drawn[_valid(drawn)]])
        return found[:n]

    def _graph_features(self, vectors: NDArray[np.int8]) -> NDArray[np.float32]:
        """Count vertices, edges and operators on the paths; longest path; inputs of the output."""
        import numpy as np

        rows = []
        for vector in vectors.tolist():
            matrix, names = pruned(tuple(vector))
            longest = [0] * len(matrix)
            for target in range(1, len(matrix)):
                longest[target] = 1 + max(longest[s] for s in range(target) if matrix[s][target])
            counts = [names.count(name) for name in OPERATORS]
            last = sum(row[-1] for row in matrix)
            rows.append([len(matrix), sum(map(sum, matrix)), *counts, longest[-1], last, matrix[0][-1]])
        return np.array(rows, np.float32).reshape(len(vectors), 8)

    def feature_names(self, kind: str = "one_hot") -> list[str]:
        if kind == "one_hot":
            bits = [f"{bit}@{s}->{t}" for s, t in EDGES for bit in (0, 1)]
            return bits + [f"{name}@{v}" for v in range(1, VERTICES - 1) for name in OPERATORS]
        counts = [f"count:{name}" for name in OPERATORS]
        return ["vertices", "edges", *counts, "longest_path", "inputs:output", "input_to_output"]

    def _network(self, arch: Architecture, dataset: str) -> Network:
        from hwnasbench.spaces.nasbench101_network import build

        return build(arch, dataset)


def _operator(name: str) -> int:
    if name not in OPERATORS:
        close = nearest(name, OPERATORS, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise InvalidArchitecture(f"unknown operator {name!r} of 'nasbench101'; {hint}known: {', '.join(OPERATORS)}")
    return OPERATORS.index(name)


def _text(vector: tuple[int, ...]) -> str:
    bits = iter(map(str, vector[:_BITS]))
    rows = ["".join(next(bits) for _ in range(VERTICES - 1 - row)) for row in range(VERTICES - 1)]
    return "_".join(rows) + ":" + ",".join(OPERATORS[v] for v in vector[_BITS:])


@lru_cache(maxsize=4096)
def _on_paths(bits: tuple[int, ...]) -> tuple[int, ...]:
    """Return the vertices on a path from the input to the output, in order."""
    edges = [edge for edge, bit in zip(EDGES, bits, strict=True) if bit]
    forward, backward = {0}, {VERTICES - 1}
    for source, target in edges:  # sorted by source: every source is decided before it is used
        if source in forward:
            forward.add(target)
    for source, target in reversed(edges):
        if target in backward:
            backward.add(source)
    return tuple(sorted(forward & backward))


def pruned(vector: tuple[int, ...]) -> tuple[list[list[int]], list[str]]:
    """Return the adjacency matrix and the inner operators of the vertices on paths through the cell."""
    kept = _on_paths(vector[:_BITS])
    present = {edge for edge, bit in zip(EDGES, vector, strict=False) if bit}
    matrix = [[int((s, t) in present) for t in kept] for s in kept]
    return matrix, [OPERATORS[vector[_BITS + v - 1]] for v in kept[1:-1]]


def _fault_of(vector: tuple[int, ...]) -> str | None:
    """Say why a vector of decisions in range is no cell."""
    kept = _on_paths(vector[:_BITS])
    if len(kept) < 2:
        return "no path leads from the input (vertex 0) to the output (vertex 6)"
    edges = sum(bit for (s, t), bit in zip(EDGES, vector, strict=False) if s in kept and t in kept)
    return f"{edges} edges lie on paths through it; expected {MAX_EDGES} at most" if edges > MAX_EDGES else None


def _valid(vectors: NDArray[Any]) -> NDArray[np.bool_]:
    """Say of each vector whether it is a cell; the same rule as `_fault_of`."""
    import numpy as np

    n = len(vectors)
    adjacent = np.zeros((n, VERTICES, VERTICES), np.bool_)
    sources, targets = np.array(EDGES).T
    adjacent[:, sources, targets] = vectors[:, :_BITS] != 0
    forward = np.zeros((n, VERTICES), np.bool_)
    backward = np.zeros((n, VERTICES), np.bool_)
    forward[:, 0] = backward[:, -1] = True
    for v in range(1, VERTICES):
        forward[:, v] = (forward & adjacent[:, :, v]).any(axis=1)
        backward[:, -1 - v] = (backward & adjacent[:, -1 - v]).any(axis=1)
    kept = forward & backward
    edges = (adjacent & kept[:, :, None] & kept[:, None, :]).sum(axis=(1, 2))
    return np.asarray(kept[:, 0] & (edges <= MAX_EDGES), np.bool_)


def published_hash(matrix: list[list[int]], operators: list[int]) -> str:
    """Return the fingerprint by which NAS-Bench-101 tells cells apart.

    Each vertex starts from its numbers of edges and its operator and takes in its neighbours'
    hashes as often as there are vertices (``hash_module`` in google-research/nasbench).
    """
    from hashlib import md5

    def digest(text: str) -> str:
        return md5(text.encode(), usedforsecurity=False).hexdigest()

    n = len(matrix)
    labels = [-1, *operators, -2]
    hashes = [digest(str((sum(matrix[v]), sum(row[v] for row in matrix), labels[v]))) for v in range(n)]
    for _ in range(n):
        hashes = [
            digest(
                "|".join(
                    (
                        "".join(sorted(hashes[w] for w in range(n) if matrix[w][v])),
                        "".join(sorted(hashes[w] for w in range(n) if matrix[v][w])),
                        hashes[v],
                    )
                )
            )
            for v in range(n)
        ]
    return digest(str(sorted(hashes)))
