"""NSGA-III, pymoo's."""

from __future__ import annotations

from typing import Any

from hwnasbench.search.pymoo_algorithms import PymooSearcher, integers


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
        from pymoo.algorithms.moo.nsga3 import NSGA3 as Algorithm
        from pymoo.util.ref_dirs import get_reference_directions

        count, parts = self.problem.objective.count, 1
        while len(get_reference_directions("das-dennis", count, n_partitions=parts + 1)) <= population:
            parts += 1
        directions = get_reference_directions("das-dennis", count, n_partitions=parts)
        return Algorithm(ref_dirs=directions, pop_size=max(population, len(directions)), **integers())
