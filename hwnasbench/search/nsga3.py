"""NSGA-III, pymoo's."""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.search.pymoo_algorithms import PymooSearcher, integers

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NSGA3(PymooSearcher):
    """Non-dominated sorting, and reference directions among equals; for three objectives and more."""

    name = "nsga3"
    title = "NSGA-III"
    paper = (
        "K. Deb and H. Jain, An Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based "
        "Nondominated Sorting Approach, IEEE TEVC 18(4), 2014 (recalled)"
    )

    def algorithm(self, population: int) -> Any:
        """Return pymoo's NSGA3 with as many of Das and Dennis's directions as fit the population."""
        from pymoo.algorithms.moo.nsga3 import NSGA3 as Algorithm  # noqa: N811
        from pymoo.operators.selection.tournament import TournamentSelection
        from pymoo.util.ref_dirs import get_reference_directions

        count, parts = self.problem.objective.count, 1
        while comb(parts + count, count - 1) <= population:
            parts += 1
        directions = get_reference_directions("das-dennis", count, n_partitions=parts)
        return Algorithm(
            ref_dirs=directions,
            pop_size=max(population, len(directions)),
            selection=TournamentSelection(func_comp=_feasible_first),
            **integers(),
        )


def _feasible_first(members: Any, pairs: NDArray[np.int_], random_state: Any, **_: Any) -> NDArray[np.int_]:
    """Return the winner of each pair: what is feasible, and of equals one drawn uniformly.

    The same as pymoo's own, which draws among the infeasible without its seed: no two runs would be the same.
    """
    violated = members.get("CV")[:, 0][pairs]
    winner = random_state.integers(2, size=len(pairs))
    winner = np.where(violated[:, 0] < violated[:, 1], 0, np.where(violated[:, 0] > violated[:, 1], 1, winner))
    return np.take_along_axis(pairs, winner[:, None], axis=1)
