"""Objectives of one metric in several circumstances: on several devices, or clean and with faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.errors import InvalidRequest, UnknownName
from hwnasbench.search.objectives.base import Objective, check
from hwnasbench.search.objectives.numbers import positive, share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwnasbench.search.objectives.base import Floats

_HOW = {"average": np.mean, "maximum": np.max}
_FAULTY = "accuracy?precision=analog,recipe=noisy"


class Devices(Objective):
    """``(1 - t) x accuracy - t x`` the average or the maximum of the costs on several devices, each over its reference.

    Parameters
    ----------
    references : mapping of str to float
        For each device what counts as 1, in the unit of `cost`.
    how : {"average", "maximum"}
    t : float
        From 0 to 1; larger favours lower costs.
    cost : str
    """

    paper = "X. Chu et al., in K. T. Chitty-Venkata and A. K. Somani, Neural Architecture Search Survey: A Hardware Perspective, ACM CSUR 55(4), 2022"  # noqa: E501

    def __init__(
        self, references: Mapping[str, float], how: str = "average", t: float = 0.5, cost: str = "latency"
    ) -> None:
        if how not in _HOW:
            raise UnknownName("way of devices", how, _HOW)
        if not references:
            raise InvalidRequest("devices: references is empty; expected a number a device, such as {'pixel3': 10.0}")
        self._how, self._t = _HOW[how], share("devices", "t", t)
        self._references = [positive("devices", f"references[{device}]", value) for device, value in references.items()]
        self.metrics = check(("accuracy", *(f"{cost}@{device}" for device in references)))

    def score(self, values: Mapping[str, Floats]) -> Floats:
        costs = [values[name] / one for name, one in zip(self.metrics[1:], self._references, strict=True)]
        return np.asarray((1 - self._t) * values["accuracy"] / 100.0 - self._t * self._how(costs, axis=0))


class FaultTolerant(Objective):
    """``(1 - alpha) x clean + alpha x faulty`` accuracy; faulty is that on noisy analog arrays.

    Published for NAS-Bench-201 on CIFAR-10, and there for the test split alone: a problem of it needs ``split="test"``.

    Parameters
    ----------
    alpha : float
        From 0 to 1.
    """

    paper = "X. Ning et al., FTT-NAS: Discovering Fault-Tolerant Neural Architecture, 2020 (recalled)"
    metrics = ("accuracy", _FAULTY)

    def __init__(self, alpha: float = 0.5) -> None:
        self._alpha = share("fault_tolerant", "alpha", alpha)

    def score(self, values: Mapping[str, Floats]) -> Floats:
        return np.asarray((1 - self._alpha) * values["accuracy"] + self._alpha * values[_FAULTY])
