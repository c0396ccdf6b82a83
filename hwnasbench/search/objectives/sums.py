"""Objectives that add: accuracy, as a share of 1, against a cost over a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.errors import UnknownName
from hwnasbench.search.objectives.base import Objective, check
from hwnasbench.search.objectives.numbers import cost as cost_of
from hwnasbench.search.objectives.numbers import positive, share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwnasbench.search.objectives.base import Floats

#: Accuracies are stored in %.
_PERCENT = 100.0
_MONAS = (
    "C.-H. Hsu et al., MONAS: Multi-Objective Neural Architecture Search using Reinforcement Learning, 2018 (recalled)"
)
FORMS = ("weighted", "cost_threshold", "accuracy_threshold")


class Monas(Objective):
    """MONAS's three rewards of accuracy and a cost, both as shares: equations (3) to (5) of the survey.

    Parameters
    ----------
    form : {"weighted", "cost_threshold", "accuracy_threshold"}
        ``alpha x accuracy - (1 - alpha) x cost``; ``accuracy`` where the cost is below its threshold, else 0;
        ``1 - cost`` where accuracy is above its threshold, else 0.
    reference : float
        The cost, in its own unit, that counts as 1; of the first form and the third. In the third an architecture of a
        larger cost scores less than one that misses the threshold.
    alpha : float
        Of the first form.
    threshold : float
        Of the second form in the cost's unit, of the third in % of accuracy.
    cost : str
        Energy, or another metric; by the survey MACs stand in for power in the second form.
    """

    paper = _MONAS

    def __init__(
        self,
        form: str = "weighted",
        *,
        reference: float | None = None,
        alpha: float = 0.5,
        threshold: float | None = None,
        cost: str = "energy",
    ) -> None:
        if form not in FORMS:
            raise UnknownName("form of monas", form, FORMS)
        self._form, self._alpha = form, share("monas", "alpha", alpha)
        self._reference = 1.0 if form == "cost_threshold" else positive("monas", "reference", reference)
        self._threshold = 0.0 if form == "weighted" else positive("monas", "threshold", threshold)
        self.metrics = check(("accuracy", cost_of("monas", "cost", cost)))

    def score(self, values: Mapping[str, Floats]) -> Floats:
        accuracy, cost = values["accuracy"] / _PERCENT, values[self.metrics[1]] / self._reference
        if self._form == "weighted":
            return np.asarray(self._alpha * accuracy - (1 - self._alpha) * cost)
        if self._form == "cost_threshold":
            return np.where(values[self.metrics[1]] < self._threshold, accuracy, 0.0)
        return np.where(values["accuracy"] > self._threshold, 1 - cost, 0.0)


class Weighted(Objective):
    """``(1 - t) x accuracy - t x latency / reference``.

    Equation (6) of the survey, which prints the latency with a plus sign, though a larger t is to favour a low one: it
    is taken with a minus here.

    Parameters
    ----------
    t : float
        From 0 to 1; larger favours a lower cost.
    reference : float
        The cost, in its own unit, that counts as 1.
    cost : str
    """

    def __init__(self, t: float, *, reference: float, cost: str = "latency") -> None:
        self._t, self._reference = share("weighted", "t", t), positive("weighted", "reference", reference)
        self.metrics = check(("accuracy", cost_of("weighted", "cost", cost)))

    def score(self, values: Mapping[str, Floats]) -> Floats:
        accuracy, cost = values["accuracy"] / _PERCENT, values[self.metrics[1]] / self._reference
        return np.asarray((1 - self._t) * accuracy - self._t * cost)


class Apnas(Objective):
    """``accuracy - alpha x cycles / reference cycles``.

    Cycles are latency times the clock of the device, which is the same for both: the ratio is that of the latencies. In
    a space of accelerators that chooses the clock it is the latency, and not the cycles, that is weighed.

    Parameters
    ----------
    alpha : float
        Above 0.
    reference : float
        Latency in ms that counts as 1.
    """

    paper = "P. Achararit et al., APNAS: Accuracy-and-Performance-Aware Neural Architecture Search, IEEE Access 8, 2020 (recalled)"  # noqa: E501
    metrics = ("accuracy", "latency")

    def __init__(self, alpha: float, *, reference: float) -> None:
        self._alpha, self._reference = positive("apnas", "alpha", alpha), positive("apnas", "reference", reference)

    def score(self, values: Mapping[str, Floats]) -> Floats:
        return np.asarray(values["accuracy"] / _PERCENT - self._alpha * values["latency"] / self._reference)
