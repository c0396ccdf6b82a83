"""Random search: the baseline of every comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.search.base import Searcher

if TYPE_CHECKING:
    from hwnasbench.search.base import Vector

#: Architectures that are drawn together.
_BATCH = 1000


class RandomSearch(Searcher):
    """Architectures drawn uniformly, with replacement."""

    name = "random"
    title = "Random search"
    paper = "J. Bergstra and Y. Bengio, Random Search for Hyper-Parameter Optimization, JMLR 13, 2012 (recalled)"
    many = True

    def ask(self, n: int) -> list[Vector]:
        """Draw as many as the budget allows, a thousand at most."""
        # One at a time where training is counted in seconds costs no more than this batch that is cut off.
        return [tuple(row) for row in self.problem.space.sample_many(self.rng, min(n, _BATCH)).tolist()]
