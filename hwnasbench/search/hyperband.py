"""Hyperband over the lengths of training that are known."""

from __future__ import annotations

import math

from hwnasbench.search.successive_halving import SuccessiveHalving


class Hyperband(SuccessiveHalving):
    """Successive halving from each fidelity in turn, the longer ones with fewer architectures.

    The bracket that begins k fidelities below the highest of K + 1 draws (K + 1) / (k + 1) eta^k architectures, rounded
    up, so that all brackets cost about the same; see `SuccessiveHalving` for eta. The last bracket is random search.

    Parameters
    ----------
    problem : Problem
        Of two fidelities or more.
    seed : int
    eta : float, optional
        More than 1.
    first : int, optional
        Architectures of the bracket that begins at the lowest fidelity; the others are drawn in proportion.

    Raises
    ------
    InvalidRequest
        When the problem has one fidelity, or a setting is none.
    """

    name = "hyperband"
    title = "Hyperband"
    paper = (
        "L. Li et al., Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization, JMLR 18, 2018 "
        "(recalled; its brackets read: automl/NASLib naslib/optimizers/discrete/hb/optimizer.py)"
    )

    def brackets(self) -> list[tuple[int, int]]:
        """Return one bracket a fidelity."""
        levels = self._highest + 1
        # That bracket's k is levels - 1 - start; eta^k is what is left of the first bracket's at its first fidelity.
        counts = [self._first / self._ratio(0, start) * levels / (levels - start) for start in range(levels)]
        # Rounded first, or the last digit of a quotient would add an architecture.
        return [(start, max(1, math.ceil(round(count, 9)))) for start, count in enumerate(counts)]
