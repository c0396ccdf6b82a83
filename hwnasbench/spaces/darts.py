"""DARTS: a normal and a reduction cell of 4 nodes, 2 operators a node.

Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019. Genotypes are those
of ``cnn/genotypes.py`` of quark0/darts.
"""

from __future__ import annotations

import ast
import re
from itertools import combinations, permutations

from hwnasbench.errors import InvalidArchitecture, UnknownName, nearest
from hwnasbench.spaces.base import Architecture, Space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.networks import Network

    Cell = list[tuple[str, int]]

#: Operators in the published order; ``none`` never stands in a genotype.
OPERATORS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
NODES = 4
#: The two different inputs that each node can have: 0 and 1 are the two cells before, 2 is node 0.
PAIRS = tuple(tuple(combinations(range(node + 2), 2)) for node in range(NODES))
CELLS = ("normal", "reduce")
_CONCAT = [2, 3, 4, 5]


class Darts(Space):
    """Two cells; each node adds the results of two operators on two different inputs.

    A node is three decisions: its pair of inputs, the operator on the lower and on the higher one.
    Read as 24 decisions, as a published ``Genotype`` (the named tuple or its text), or as the string
    that `format` gives. All four nodes are concatenated.
    """

    name = "darts"
    title = "DARTS"
    citation = "liu2019darts"
    choices = tuple(n for pairs in PAIRS for n in (len(pairs), len(OPERATORS), len(OPERATORS))) * 2
    enumerable = False
    datasets = ("cifar10", "cifar100", "imagenet")
    notations = ("genotype",)
    #: Of the largest network: 20 cells of 8 separable convolutions (4 layers each) and 2 inputs (two of them halved).
    max_weighted_layers = 20 * (8 * 4 + 2) + 2 + 2

    # -- notations ----------------------------------------------------------------------------

    def parse(self, arch: Any, notation: str | None = None) -> Architecture:
        if notation is None and all(hasattr(arch, cell) for cell in CELLS):
            return self._parse_foreign(arch, "genotype")
        return super().parse(arch, notation)

    def _parse_string(self, text: str) -> Architecture:
        if "Genotype" in text:
            return self._parse_foreign(text, "genotype")
        cells = [re.findall(r"([a-z_0-9]+)~(\d)", part) for part in text.split("/")]
        if len(cells) != 2 or self._written(cells) != text.replace(" ", ""):
            raise InvalidArchitecture(f"{text!r}: expected two cells joined by '/', each |op~input+op~input|...|")
        return self._from_cells([[(op, int(source)) for op, source in cell] for cell in cells])

    @staticmethod
    def _written(cells: list[list[tuple[str, Any]]]) -> str:
        def node(pairs: list[tuple[str, Any]]) -> str:
            return "+".join(f"{op}~{source}" for op, source in pairs)

        return "/".join("|" + "|".join(node(c[i : i + 2]) for i in range(0, len(c), 2)) + "|" for c in cells)

    def _parse_foreign(self, arch: Any, notation: str) -> Architecture:
        cells = []
        for cell in CELLS:
            if isinstance(arch, str):
                found = re.search(rf"\b{cell}\s*=\s*(\[[^\]]*\])", arch)
                pairs: Any = ast.literal_eval(found[1]) if found else None
                concat: Any = re.search(rf"\b{cell}_concat\s*=\s*(.*?\]|range\(2, 6\))", arch)
                concat = _CONCAT if concat is None or "range" in concat[1] else ast.literal_eval(concat[1])
            else:
                pairs = getattr(arch, cell, None)
                concat = getattr(arch, f"{cell}_concat", _CONCAT)
            try:
                cells.append([(str(op), int(source)) for op, source in pairs])
            except (TypeError, ValueError):
                raise InvalidArchitecture(
                    f"{arch!r} is no genotype: no list of (operator, input) for {cell!r}"
                ) from None
            if sorted(concat) != _CONCAT:
                raise InvalidArchitecture(f"{cell}_concat is {list(concat)!r}; {self.name!r} concatenates {_CONCAT}")
        return self._from_cells(cells)

    def _from_cells(self, cells: list[Cell]) -> Architecture:
        vector: list[int] = []
        for cell in cells:
            if len(cell) != 2 * NODES:
                raise InvalidArchitecture(f"a cell has {2 * NODES} (operator, input) pairs; got {len(cell)}")
            for node in range(NODES):
                (low, low_op), (high, high_op) = sorted((source, op) for op, source in cell[2 * node : 2 * node + 2])
                if (low, high) not in PAIRS[node]:
                    raise InvalidArchitecture(
                        f"node {node} takes the inputs {low}, {high}; expected two different ones from 0 to {node + 1}"
                    )
                vector += [PAIRS[node].index((low, high)), _operator(low_op), _operator(high_op)]
        return Architecture(self, self._check_vector(vector))

    def format(self, arch: Any, notation: str | None = None) -> str:
        normal, reduce = cells_of(self.parse(arch).vector)
        if notation is None:
            return self._written([normal, reduce])
        if notation == "genotype":
            return f"Genotype(normal={normal}, normal_concat={_CONCAT}, reduce={reduce}, reduce_concat={_CONCAT})"
        raise UnknownName(f"notation of {self.name}", notation, self.notations)

    # -- structure ----------------------------------------------------------------------------

    def canonical(self, arch: Any) -> str:
        """Return the string of the smallest of all orders of each cell's nodes.

        Another order of the nodes permutes the channels of what a cell puts out, which the layers
        after it make up for.
        """
        cells = cells_of(self.parse(arch).vector)
        return self._written([min(filter(None, (_reordered(c, o) for o in permutations(range(NODES))))) for c in cells])

    def canonical_vector(self, vector: tuple[int, ...]) -> tuple[int, ...]:
        return self.parse(self.canonical(vector)).vector

    def _graph_features(self, vectors: NDArray[np.int8]) -> NDArray[np.float32]:
        """Count each operator in each cell, and what reads each cell before."""
        import numpy as np

        rows = []
        for vector in vectors.tolist():
            row: list[int] = []
            for cell in cells_of(tuple(vector)):
                row += [sum(op == name for op, _ in cell) for name in OPERATORS]
                row += [sum(source == before for _, source in cell) for before in (0, 1)]
            rows.append(row)
        return np.array(rows, np.float32).reshape(len(vectors), 2 * (len(OPERATORS) + 2))

    def feature_names(self, kind: str = "one_hot") -> list[str]:
        names = []
        for cell in CELLS:
            if kind == "one_hot":
                for node, pairs in enumerate(PAIRS):
                    names += [f"{cell}:inputs{low},{high}@{node}" for low, high in pairs]
                    names += [f"{cell}:{op}@{node}.{side}" for side in ("low", "high") for op in OPERATORS]
            else:
                names += [f"{cell}:count:{name}" for name in OPERATORS] + [f"{cell}:readers:{b}" for b in (0, 1)]
        return names

    def _network(self, arch: Architecture, dataset: str) -> Network:
        from hwnasbench.spaces.darts_network import build

        return build(arch, dataset)


def cells_of(vector: tuple[int, ...]) -> tuple[Cell, Cell]:
    """Return the (operator, input) pairs of the normal and of the reduction cell."""
    half = len(vector) // 2
    cells: list[Cell] = []
    for part in (vector[:half], vector[half:]):
        cell: Cell = []
        for node in range(NODES):
            pair, low_op, high_op = part[3 * node : 3 * node + 3]
            low, high = PAIRS[node][pair]
            cell += [(OPERATORS[low_op], low), (OPERATORS[high_op], high)]
        cells.append(cell)
    return cells[0], cells[1]


def _reordered(cell: Cell, order: tuple[int, ...]) -> Cell | None:
    """Return the cell with its nodes in another order; None where one would read a later one."""
    position = {old: new for new, old in enumerate(order)}
    out: Cell = []
    for new, old in enumerate(order):
        moved = [(op, s if s < 2 else 2 + position[s - 2]) for op, s in cell[2 * old : 2 * old + 2]]
        if any(source >= 2 + new for _, source in moved):
            return None
        out += sorted(moved, key=lambda pair: pair[1])
    return out


def _operator(name: str) -> int:
    if name not in OPERATORS:
        close = nearest(name, OPERATORS, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise InvalidArchitecture(f"unknown operator {name!r} of 'darts'; {hint}known: {', '.join(OPERATORS)}")
    return OPERATORS.index(name)
