"""Objectives of one metric in several circumstances: on several devices, or clean and with faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.errors import InvalidRequest, UnknownName
from hwnasbench.search.objectives.base import Objective, check
from hwnasbench.search.objectives.numbers import cost as cost_of
from hwnasbench.search.objectives.numbers import positive, share

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwnasbench.search.objectives.base import Floats

_HOW: dict[str, Callable[..., Floats]] = {"average": np.mean, "maximum": np.max}
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

    Notes
    -----
    That the costs are normalised for each device, and that the average case and the worst one are two metrics, is of
    the paper (its abstract and the survey were read); how they are weighed against accuracy is equation (6) of the
    survey.
    """

    paper = "G. Chu et al., Discovering Multi-Hardware Mobile Models via Architecture Search, 2020, arXiv:2008.08178"

    def __init__(
        self, references: Mapping[str, float], how: str = "average", t: float = 0.5, cost: str = "latency"
    ) -> None:
        if how not in _HOW:
            raise UnknownName("way of devices", how, _HOW)
        if not isinstance(references, Mapping) or not references:
            raise InvalidRequest(
                f"devices: references={references!r}; expected a number for each device, such as {{'pixel3': 10.0}}"
            )
        self._how, self._t = _HOW[how], share("devices", "t", t)
        self._references = [positive("devices", f"references[{device}]", value) for device, value in references.items()]
        self.metrics = check(("accuracy", *(cost_of("devices", "cost", f"{cost}@{device}") for device in references)))

    def score(self, values: Mapping[str, Floats]) -> Floats:
        costs = [values[name] / one for name, one in zip(self.metrics[1:], self._references, strict=True)]
        return np.asarray((1 - self._t) * values["accuracy"] / 100.0 - self._t * self._how(costs, axis=0))


class FaultTolerant(Objective):
    """``(1 - alpha) x clean + alpha x faulty`` accuracy; faulty is that on noisy analog arrays.

    Known for NAS-Bench-201 on CIFAR-10, and there for the test split alone: a problem of it needs ``split="test"``, and
    elsewhere there is none.

    Parameters
    ----------
    alpha : float
        From 0 to 1.

    Notes
    -----
    The formula is the survey's; it and the default of alpha were read in an early version of the authors' aw_nas
    (``aw_nas/objective/fault_injection.py``). Their faults are bits that flip: noise of the devices that hold the
    weights takes their place here.
    """

    paper = "X. Ning et al., FTT-NAS: Discovering Fault-Tolerant Neural Architecture, 2020, arXiv:2003.10375"
    metrics = ("accuracy", _FAULTY)

    def __init__(self, alpha: float = 0.2) -> None:
        self._alpha = share("fault_tolerant", "alpha", alpha)

    def score(self, values: Mapping[str, Floats]) -> Floats:
        return np.asarray((1 - self._alpha) * values["accuracy"] + self._alpha * values[_FAULTY])
