"""NAS-Bench-201: cells of 4 nodes and 6 edges, 5 operators an edge.

Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search",
ICLR 2020. The published index is the position in the list of all cells after
``random.seed(88); random.shuffle(cells)``, which reproduces the index files that others publish.
"""

from __future__ import annotations

from hwnasbench.errors import InvalidArchitecture, UnknownName, nearest
from hwnasbench.spaces.base import Architecture, Space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.networks import Network
    from hwnasbench.spaces.chain import Composition

#: Operators in the order of the space's own decision vector (the order NAS-Bench-201 publishes).
OPERATORS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE, SKIP, CONV1, CONV3, POOL = range(5)
#: (source node, target node) of each position, in the order of the tokens of the arch string.
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))

_POSITIONS = 6
_COUNT: int = 5**_POSITIONS
_NASLIB_OPERATORS = (SKIP, NONE, CONV3, CONV1, POOL)
#: Position in our vector of each NASLib edge (1,2), (1,3), (1,4), (2,3), (2,4), (3,4).
_NASLIB_EDGES = (0, 1, 3, 2, 4, 5)
_TEMPLATE = "|%s~0|+|%s~0|%s~1|+|%s~0|%s~1|%s~2|"
_POWERS = (3125, 625, 125, 25, 5, 1)
#: Value of each token at each position in the base-5 code of a cell.
_TOKENS = tuple(
    {f"{op}~{source}": choice * _POWERS[position] for choice, op in enumerate(OPERATORS)}
    for position, (source, _) in enumerate(EDGES)
)


def _published_order() -> tuple[list[int], list[int]]:
    """Return (base-5 code of each published index, published index of each base-5 code)."""
    import random

    codes = list(range(_COUNT))
    random.Random(88).shuffle(codes)
    index_of = [0] * _COUNT
    for index, code in enumerate(codes):
        index_of[code] = index
    return codes, index_of


class NasBench201(Space):
    """The NAS-Bench-201 (NATS-Bench topology) cell space: 15,625 architectures.

    The decision vector has one operator an edge, in the order of the arch string's tokens:
    edges 0->1, 0->2, 1->2, 0->3, 1->3, 2->3; operators 0 none, 1 skip_connect, 2 nor_conv_1x1,
    3 nor_conv_3x3, 4 avg_pool_3x3. ``notation="eagle"`` reads the 6-tuples of EAGLE / LatBench
    (the same order), ``notation="naslib"`` those of NASLib and AnalogNAS-Bench.
    """

    name = "nasbench201"
    title = "NAS-Bench-201"
    citation = "dong2020nasbench201"
    choices = (5,) * _POSITIONS
    enumerable = True
    datasets = ("cifar10", "cifar100", "ImageNet16-120")
    notations = ("eagle", "naslib")

    def __init__(self) -> None:
        self._order: tuple[list[int], list[int]] | None = None
        self._vectors: NDArray[np.int8] | None = None
        self._index_by_string: dict[str, int] | None = None

    @property
    def size(self) -> int:
        return _COUNT

    def __len__(self) -> int:
        return _COUNT

    # -- notations ----------------------------------------------------------------------------

    def code(self, text: str) -> int:
        """Return the base-5 code of an arch string, most significant position first."""
        parts = text.split("|")
        try:
            if len(parts) != 10 or parts[0] or parts[2] != "+" or parts[5] != "+" or parts[9]:
                raise KeyError(text)
            t = _TOKENS
            return t[0][parts[1]] + t[1][parts[3]] + t[2][parts[4]] + t[3][parts[6]] + t[4][parts[7]] + t[5][parts[8]]
        except KeyError:
            raise InvalidArchitecture(self._explain(text)) from None

    def _explain(self, text: str) -> str:
        tokens = [t for t in text.replace("+", "").split("|") if t]
        for token in tokens:
            operator_name = token.split("~")[0]
            if operator_name not in OPERATORS:
                close = nearest(operator_name, OPERATORS, 1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                return f"{text!r}: unknown operator {operator_name!r}{hint or ';'} known: {', '.join(OPERATORS)}"
        return f"{text!r} is not a cell of 'nasbench201'; expected the form {_TEMPLATE % (('none',) * 6)}"

    def _parse_string(self, text: str) -> Architecture:
        return Architecture(self, _digits(self.code(text.strip())))

    def _parse_foreign(self, arch: Any, notation: str) -> Architecture:
        if isinstance(arch, str):
            arch = [int(part) if part.isdecimal() else part for part in arch.strip(" ()[]").replace(",", " ").split()]
        vector = self._check_vector(self._to_sequence(arch))
        if notation == "eagle":
            return Architecture(self, vector)
        out = [0] * _POSITIONS
        for edge, choice in zip(_NASLIB_EDGES, vector, strict=True):
            out[edge] = _NASLIB_OPERATORS[choice]
        return Architecture(self, tuple(out))

    def format(self, arch: Any, notation: str | None = None) -> str:
        vector = self.parse(arch).vector
        if notation is None:
            return _TEMPLATE % tuple(OPERATORS[v] for v in vector)
        if notation == "eagle":
            return str(vector)
        if notation == "naslib":
            return str(tuple(_NASLIB_OPERATORS.index(vector[edge]) for edge in _NASLIB_EDGES))
        raise UnknownName("notation of nasbench201", notation, self.notations)

    # -- index --------------------------------------------------------------------------------

    @property
    def order(self) -> tuple[list[int], list[int]]:
        """(base-5 code of each published index, published index of each base-5 code)."""
        if self._order is None:
            self._order = _published_order()
        return self._order

    def index_by_code(self) -> Sequence[int]:
        return self.order[1]

    def index(self, arch: Any) -> int:
        if isinstance(arch, str):
            return self.order[1][self.code(arch.strip())]
        return self.order[1][_code(self.parse(arch).vector)]

    def from_index(self, index: int) -> Architecture:
        if not 0 <= index < _COUNT:
            raise InvalidArchitecture(f"index {index} is out of range; 'nasbench201' has indices 0 to {_COUNT - 1}")
        return Architecture(self, _digits(self.order[0][index]))

    def all_vectors(self) -> NDArray[np.int8]:
        """Return the decision vectors of all architectures in index order, shape (15625, 6)."""
        if self._vectors is None:
            import numpy as np

            codes = np.array(self.order[0])
            powers = 5 ** np.arange(_POSITIONS - 1, -1, -1)
            self._vectors = (codes[:, None] // powers % 5).astype(np.int8)
            self._vectors.flags.writeable = False
        return self._vectors

    def indices(self, archs: Any) -> NDArray[np.intp]:
        import numpy as np

        if isinstance(archs, np.ndarray) and archs.dtype.kind in "iu":
            if archs.ndim == 2:
                powers = (5 ** np.arange(_POSITIONS - 1, -1, -1)).astype(np.int32)
                table = np.array(self.order[1], np.intp)
                found: NDArray[np.intp] = table[self.vectors(archs) @ powers]
                return found
            if archs.size and (archs.min() < 0 or archs.max() >= _COUNT):
                bad = archs[(archs < 0) | (archs >= _COUNT)][0]
                raise InvalidArchitecture(f"index {bad} is out of range; 'nasbench201' has indices 0 to {_COUNT - 1}")
            return archs.astype(np.intp, copy=False)
        if isinstance(archs, (list, tuple)) and archs and set(map(type, archs)) == {int}:
            return self.indices(np.array(archs))
        if self._index_by_string is None:
            self._index_by_string = {self.format(arch): index for index, arch in enumerate(self)}
        try:
            return np.fromiter(map(self._index_by_string.__getitem__, archs), np.intp, count=len(archs))
        except (KeyError, TypeError):
            return np.fromiter((self.index(arch) for arch in archs), np.intp, count=len(archs))

    # -- structure ----------------------------------------------------------------------------

    def published_key(self, arch: Any) -> str:
        """Return the key of NAS-Bench-201's own rule for equal cells (6,466 distinct).

        A skip passes its input on and a lone zero term stays zero, but terms that are zero are
        kept inside sums, and nested sums are not flattened. Cells equal by this rule compute
        the same function, but need not cost the same.
        """
        vector = self.parse(arch).vector
        nodes = ["0"]
        for target in (1, 2, 3):
            terms = []
            for choice, (source, edge_target) in zip(vector, EDGES, strict=True):
                if edge_target != target:
                    continue
                if choice == NONE or nodes[source] == "#":
                    terms.append("#")
                elif choice == SKIP:
                    terms.append(nodes[source])
                else:
                    terms.append(f"({nodes[source]})@{OPERATORS[choice]}")
            nodes.append("+".join(sorted(terms)))
        return nodes[3]

    def canonical(self, arch: Any) -> str:
        """Return the cell's function as a sum of terms: zero terms dropped, nested sums flattened.

        4,930 distinct. ``"0"`` is the cell that computes nothing. Equal functions share accuracy
        in expectation; they do not share cost (see `graph_key`).
        """
        vector = self.parse(arch).vector
        nodes: list[list[str]] = [["x"]]
        for target in (1, 2, 3):
            terms: list[str] = []
            for choice, (source, edge_target) in zip(vector, EDGES, strict=True):
                if edge_target != target or choice == NONE or not nodes[source]:
                    continue
                if choice == SKIP:
                    terms.extend(nodes[source])
                else:
                    terms.append(f"{OPERATORS[choice]}({'+'.join(nodes[source])})")
            nodes.append(sorted(terms))
        return "+".join(nodes[3]) or "0"

    def live_vector(self, arch: Any) -> tuple[int, ...]:
        """Return the decision vector with every edge off the input-output paths set to none."""
        vector = self.parse(arch).vector
        alive = [(source, target) for choice, (source, target) in zip(vector, EDGES, strict=True) if choice != NONE]
        from_input = _reach({0}, alive)
        to_output = _reach({3}, [(target, source) for source, target in alive])
        return tuple(
            choice if source in from_input and target in to_output else NONE
            for choice, (source, target) in zip(vector, EDGES, strict=True)
        )

    def graph_key(self, arch: Any) -> str:
        """Return the live graph up to a swap of the two inner nodes: 8,765 distinct.

        Networks with equal keys are the same graph once an engine has removed dead edges, so
        that they cost the same; they were published as separate measurements.
        """
        live = self.live_vector(arch)
        swapped = _swap(live)
        return self.format(live if swapped is None or live <= swapped else swapped)

    def node_swap(self, arch: Any) -> Architecture | None:
        """Return the cell with its inner nodes exchanged, where the 1->2 edge is none and it differs."""
        vector = self.parse(arch).vector
        swapped = _swap(vector)
        return None if swapped is None or swapped == vector else Architecture(self, swapped)

    def is_connected(self, arch: Any) -> bool:
        return any(self.live_vector(arch))

    # -- features and network -----------------------------------------------------------------

    def _graph_features(self, vectors: NDArray[np.int8]) -> NDArray[np.float32]:
        from hwnasbench.spaces.nasbench201_features import graph_features

        return graph_features(self, vectors)

    def feature_names(self, kind: str = "one_hot") -> list[str]:
        if kind == "one_hot":
            return [f"{OPERATORS[c]}@{s}->{t}" for s, t in EDGES for c in range(5)]
        from hwnasbench.spaces.nasbench201_features import NAMES

        return list(NAMES)

    def compose(self, archs: Any, dataset: str | None = None, runs: str = "live") -> Composition:
        from hwnasbench.spaces.nasbench201_compose import compose

        return compose(self, self.vectors(archs), self._dataset(dataset), runs)

    def _network(self, arch: Architecture, dataset: str) -> Network:
        from hwnasbench.spaces.nasbench201_network import build

        return build(arch, dataset)


def _digits(code: int) -> tuple[int, ...]:
    return tuple(code // 5 ** (5 - position) % 5 for position in range(_POSITIONS))


def _code(vector: Sequence[int]) -> int:
    code = 0
    for choice in vector:
        code = code * 5 + choice
    return code


def _reach(start: set[int], edges: list[tuple[int, int]]) -> set[int]:
    reached = set(start)
    for _ in range(3):
        reached |= {target for source, target in edges if source in reached}
    return reached


def _swap(vector: tuple[int, ...]) -> tuple[int, ...] | None:
    """Exchange nodes 1 and 2; None where the 1->2 edge is in use (the order is then fixed)."""
    a, b, inner, c, d, e = vector
    return None if inner != NONE else (b, a, NONE, c, e, d)
