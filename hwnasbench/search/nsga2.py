"""NSGA-II, pymoo's."""

from __future__ import annotations

from typing import Any

from hwnasbench.search.pymoo_algorithms import PymooSearcher, integers


class NSGA2(PymooSearcher):
    """Non-dominated sorting, and crowding distance among equals."""

    name = "nsga2"
    title = "NSGA-II"
    paper = (
        "K. Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, IEEE TEVC 6(2), 2002 (recalled)"
    )

    # Whatever is feasible beats the worst score everywhere.
    constrained = False

    def algorithm(self, population: int) -> Any:
        """Return pymoo's NSGA2."""
        from pymoo.algorithms.moo.nsga2 import NSGA2 as Algorithm  # noqa: N811

        return Algorithm(pop_size=population, **integers())
