"""Layer-wise spaces laid out for surrogates: how positions and slots are grouped, and what each group adds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench import spaces
from hwnasbench.predictors.groups import Groups, gather

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.spaces.tokens import TokenSpace


@dataclass(frozen=True)
class Recipe:
    """How the positions and slots of a space are grouped.

    Attributes
    ----------
    groups : tuple of tuple of int
        Positions whose choices are read as one code.
    sum_groups : tuple of tuple of int
        The same for sums over slots: the positions that a group's slots depend on.
    slots : tuple of tuple of int
        The slots of each of the sum groups.
    sizes : tuple of int
        The last position is the input size, one of these; empty where the size is the same for all.
    """

    groups: tuple[tuple[int, ...], ...]
    sum_groups: tuple[tuple[int, ...], ...]
    slots: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...] = ()


def _mnasnet() -> Recipe:
    from hwnasbench.spaces.mnasnet import STAGES

    ends = np.cumsum([1, *(deepest for _, _, deepest in STAGES)]).tolist()
    slots = [tuple(range(ends[stage], ends[stage + 1])) for stage in range(len(STAGES))]
    slots[0], slots[-1] = (0, *slots[0]), (*slots[-1], ends[-1])
    groups = tuple(tuple(range(4 * stage, 4 * stage + 4)) for stage in range(len(STAGES)))
    return Recipe(groups, groups, tuple(slots))


def _nasbench_macro() -> Recipe:
    from hwnasbench.spaces.nasbench_macro import LAYERS

    pairs = tuple((position, position + 1) for position in range(0, len(LAYERS), 2))
    slots = [(first + 1, last + 1) for first, last in pairs]
    return Recipe(pairs, pairs, ((0, *slots[0]), *slots[1:-1], (*slots[-1], len(LAYERS) + 1)))


def _ofa_mobilenetv3() -> Recipe:
    from hwnasbench.spaces.ofa_mobilenetv3 import BLOCKS, PER_STAGE, RESOLUTIONS, STAGES

    size = 2 * BLOCKS + len(STAGES)
    blocks = [(2 * BLOCKS + block // PER_STAGE, block, BLOCKS + block) for block in range(BLOCKS)]
    halves = [tuple(dict.fromkeys(blocks[b] + blocks[b + 1])) for b in range(0, BLOCKS, 2)]
    slots: list[tuple[int, ...]] = [(block + 1,) for block in range(BLOCKS)]
    slots[0], slots[-1] = (0, *slots[0]), (*slots[-1], BLOCKS + 1)
    return Recipe((*halves, (size,)), tuple((size, *block) for block in blocks), tuple(slots), RESOLUTIONS)


#: Space to its recipe.
RECIPES = {"mnasnet": _mnasnet, "nasbench_macro": _nasbench_macro, "ofa_mobilenetv3": _ofa_mobilenetv3}


class Layout:
    """What all columns of one space and data set share: groups, features, counted sums.

    Parameters
    ----------
    name : str
        A space with a recipe.
    dataset : str
    """

    def __init__(self, name: str, dataset: str) -> None:
        self.space: TokenSpace = spaces.get(name)  # type: ignore[assignment]
        self.dataset, self.recipe = dataset, RECIPES[name]()
        self.groups = Groups(self.space.choices, self.recipe.groups)
        self.sum_groups = Groups(self.space.choices, self.recipe.sum_groups)
        self.one_hot = self.groups.one_hot(self.space)
        every = [self.sum_groups.vectors(number) for number in range(len(self.recipe.sum_groups))]
        self._codes = [self._slot_codes(vectors) for vectors in every]
        known: list[set[int]] = [set() for _ in range(self._codes[0].shape[1])]
        for group, slots in enumerate(self.recipe.slots):
            for slot in slots:
                known[slot] = set(self._codes[group][:, slot].tolist())
        self._known = [np.array(sorted(found)) for found in known]
        self._first = np.cumsum([0, *map(len, self._known)])
        self._terms = np.concatenate([self._group_terms(group, vectors) for group, vectors in enumerate(every)])
        self.counts = np.concatenate([self._group_counts(group, vectors) for group, vectors in enumerate(every)])

    def _slot_codes(self, vectors: NDArray[np.int8]) -> NDArray[np.int64]:
        """Return what stands in each slot, whatever the input size."""
        if self.recipe.sizes:
            vectors = vectors.copy()
            vectors[:, -1] = 0
        return self.space.slot_codes(vectors, self.dataset)

    def _group_terms(self, group: int, vectors: NDArray[np.int8]) -> NDArray[np.float32]:
        """Return what each code of a group adds to the features of the additive estimate."""
        terms = np.zeros((len(vectors), self._first[-1]), np.float32)
        for slot in self.recipe.slots[group]:
            place = self._first[slot] + np.searchsorted(self._known[slot], self._codes[group][:, slot])
            terms[np.arange(len(vectors)), place] = 1
        if not self.recipe.sizes:
            return terms
        pixels = (np.array(self.recipe.sizes, np.float32) / max(self.recipe.sizes)) ** 2
        return np.concatenate([terms, terms * pixels[vectors[:, -1], None]], axis=1)

    def _group_counts(self, group: int, vectors: NDArray[np.int8]) -> NDArray[np.float32]:
        """Return the parameters and multiply-accumulates of the slots of each code of a group."""
        parts = self.space.compose(vectors, self.dataset)
        out = []
        for name in ("params", "macs"):
            running = np.concatenate([[0], np.cumsum(parts.pool[name], dtype=np.int64)])
            costs = running[parts.starts[1:]] - running[parts.starts[:-1]]
            out.append(sum(parts.weights[slot] * costs[parts.codes[:, slot]] for slot in self.recipe.slots[group]))
        return np.stack(out, axis=1).astype(np.float32)

    def terms(self, vectors: NDArray[np.int8]) -> NDArray[np.float32]:
        """Return the features of the additive estimate, (n, terms)."""
        return gather(self._terms, self.sum_groups.codes(vectors))

    def fold(self, weights: NDArray[np.float64], intercept: float) -> NDArray[np.float32]:
        """Turn an estimate that is linear in the terms into one number a code."""
        costs = self._terms @ weights
        costs[: self.sum_groups.starts[1]] += intercept
        return costs.astype(np.float32)


@cache
def layout(name: str, dataset: str) -> Layout:
    """Return the layout of a space, made once a process."""
    return Layout(name, dataset)
