"""Decision vectors as a few codes: groups of positions whose choices are read as one number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwnasbench.spaces import Space


class Groups:
    """Groups of positions; each combination of choices of a group is one code.

    The codes of all groups are numbered through, so that one table has a row for each.

    Parameters
    ----------
    choices : sequence of int
        How many choices each position has.
    groups : sequence of sequence of int
        The positions of each group; a position may be in several.

    Attributes
    ----------
    size : int
        Number of codes of all groups together.
    starts : list of int
        The first code of each group, and `size`.
    """

    def __init__(self, choices: Sequence[int], groups: Sequence[Sequence[int]]) -> None:
        self.groups = [list(group) for group in groups]
        sizes = [[choices[position] for position in group] for group in self.groups]
        self.starts = np.cumsum([0, *(int(np.prod(size)) for size in sizes)]).tolist()
        self.size: int = self.starts[-1]
        self._choices = tuple(choices)
        self._sizes = sizes
        steps = np.zeros((len(self._choices), len(self.groups)), np.int32)
        for number, (group, size) in enumerate(zip(self.groups, sizes, strict=True)):
            steps[group, number] = np.cumprod([1, *size[:0:-1]])[::-1]
        # A product of small matrices of float32 is exact and much faster than one of integers.
        self._steps, self._starts = steps.astype(np.float32), np.array(self.starts[:-1], np.float32)

    def codes(self, vectors: NDArray[np.int8]) -> NDArray[np.intp]:
        """Return the code of every group, (n, groups)."""
        return (vectors.astype(np.float32) @ self._steps + self._starts).astype(np.intp)

    def vectors(self, number: int) -> NDArray[np.int8]:
        """Return one decision vector for each code of group `number`; positions outside of it are 0."""
        size = self._sizes[number]
        found = np.zeros((self.starts[number + 1] - self.starts[number], len(self._choices)), np.int8)
        grid = np.indices(size, np.int8).reshape(len(size), -1)
        found[:, self.groups[number]] = grid.T
        return found

    def one_hot(self, space: Space) -> NDArray[np.float32]:
        """Return what each code adds to the one-hot encoding of a network, (size, features).

        One feature a (position, choice), 0 where the decision does not matter to the network. A position
        that several groups share is encoded by the first of them.
        """
        first = np.cumsum([0, *self._choices])
        out = np.zeros((self.size, first[-1]), np.float32)
        told: set[int] = set()
        for number, group in enumerate(self.groups):
            vectors = self.vectors(number)
            active = getattr(space, "active", np.ones_like)(vectors)
            for position in sorted(set(group) - told):
                rows = self.starts[number] + np.flatnonzero(active[:, position])
                out[rows, first[position] + vectors[active[:, position] != 0, position]] = 1
            told |= set(group)
        return out


def gather(table: NDArray[Any], codes: NDArray[np.intp]) -> NDArray[Any]:
    """Return the sum over the groups of the rows of a table."""
    total: NDArray[Any] = table.take(codes[:, 0], axis=0)
    for number in range(1, codes.shape[1]):
        total += table.take(codes[:, number], axis=0)
    return total
