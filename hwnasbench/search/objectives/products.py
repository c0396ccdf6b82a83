"""Objectives that multiply: accuracy by powers of costs over their targets, and costs by each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.errors import InvalidRequest
from hwnasbench.search.objectives.base import Objective, check
from hwnasbench.search.objectives.numbers import cost as cost_of
from hwnasbench.search.objectives.numbers import exponent, positive, power

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hwnasbench.search.objectives.base import Floats


class MnasNet(Objective):
    """``accuracy x (latency / T)^w``, with one exponent below the target and another above it.

    Parameters
    ----------
    target : float
        T, in the unit of `cost`.
    below, above : float
        The exponents up to the target and beyond it, at most 0: both -0.07 is the soft form, 0 and -1 the hard one.
    cost : str
        Latency, or another metric of which less is better: with ``flops`` it is EfficientNet's form.

    Notes
    -----
    The score is in %: the accuracy, where the cost is the target. An architecture whose cost is not above 0 has none.
    The formula and -0.07 (twice the latency for 5 % more accuracy) were read in GitYCC/machine-learning-papers-summary
    (``cv/MnasNet.md``); 0 and -1 are recalled.
    """

    paper = "M. Tan et al., MnasNet: Platform-Aware Neural Architecture Search for Mobile, CVPR 2019"

    def __init__(self, target: float, below: float = -0.07, above: float = -0.07, cost: str = "latency") -> None:
        self._target = positive("mnasnet", "target", target)
        self._below = exponent("mnasnet", "below", below)
        self._above = exponent("mnasnet", "above", above)
        self.metrics = check(("accuracy", cost_of("mnasnet", "cost", cost)))

    def score(self, values: Mapping[str, Floats]) -> Floats:
        ratio = values[self.metrics[1]] / self._target
        return values["accuracy"] * power(ratio, np.where(ratio <= 1, self._below, self._above))


class Nahas(Objective):
    """``accuracy x (latency / T)^w0 x (area / A)^w1``, of a network and the accelerator that runs it.

    Parameters
    ----------
    latency, area : float
        The targets T in ms and A in mm2.
    w0, w1 : float
        The exponents, at most 0; the survey gives no values for them, and these are MnasNet's soft one.
    resource : str
        What stands for the area: on FPGAs ``dsp``, ``lut`` or ``bram``, of which `area` is then the target.

    Notes
    -----
    Equation (14) of the survey. The score is in %: the accuracy, where both costs are their targets.
    """

    paper = "Y. Zhou et al., Rethinking Co-design of Neural Architectures and Hardware Accelerators, 2021 (recalled)"

    def __init__(
        self, latency: float, area: float, w0: float = -0.07, w1: float = -0.07, resource: str = "area"
    ) -> None:
        self._latency, self._area = positive("nahas", "latency", latency), positive("nahas", "area", area)
        self._w0, self._w1 = exponent("nahas", "w0", w0), exponent("nahas", "w1", w1)
        self.metrics = check(("accuracy", "latency", cost_of("nahas", "resource", resource)))

    def score(self, values: Mapping[str, Floats]) -> Floats:
        late, large = values["latency"] / self._latency, values[self.metrics[2]] / self._area
        return values["accuracy"] * power(late, self._w0) * power(large, self._w1)


class PerformancePerArea(Objective):
    """Inference calls per second and square millimetre: ``1000 / (latency x area)``.

    Alone it is what Codesign-NAS constrains; see `Codesign`.

    Parameters
    ----------
    resource : str
        What stands for the area: on FPGAs ``dsp``, ``lut`` or ``bram``; calls are then counted for one of these.

    Notes
    -----
    The survey names the constraint; the abstract of the paper was read, which gives no formula.
    """

    paper = (
        "M. S. Abdelfattah et al., Best of Both Worlds: AutoML Codesign of a CNN and its Hardware Accelerator, DAC 2020"
    )

    def __init__(self, resource: str = "area") -> None:
        self._costs = ("latency", cost_of("performance_per_area", "resource", resource))
        self.metrics = self._costs

    def performance(self, values: Mapping[str, Floats]) -> Floats:
        """Return calls per second and unit of the resource; NaN where a cost is not above 0."""
        latency, resource = (values[name] for name in self._costs)
        return 1000.0 * power(latency, -1.0) * power(resource, -1.0)

    def score(self, values: Mapping[str, Floats]) -> Floats:
        return self.performance(values)


class Codesign(PerformancePerArea):
    """The most accurate whose performance per area reaches a threshold.

    Parameters
    ----------
    threshold : float
        The least inference calls per second and square millimetre, or unit of `resource`.
    resource : str
        As of `PerformancePerArea`.
    """

    def __init__(self, threshold: float, resource: str = "area") -> None:
        super().__init__(resource)
        self._threshold = positive("codesign", "threshold", threshold)
        self.metrics = ("accuracy", *self._costs)

    def score(self, values: Mapping[str, Floats]) -> Floats:
        return np.asarray(values["accuracy"])

    def feasible(self, values: Mapping[str, Floats]) -> NDArray[np.bool_]:
        return super().feasible(values) & (self.performance(values) >= self._threshold)

    def constraints(self) -> list[str]:
        return [f"1000 / (latency x {self._costs[1]}) of {self._threshold:g} or more"]


class EnergyDelay(Objective):
    """The energy-delay product as a score, ``-energy x latency`` in mJ ms.

    Parameters
    ----------
    area : bool
        Whether to multiply by the area too: the energy-delay-area product, in mJ ms mm2.
    """

    def __init__(self, area: bool = False) -> None:
        if not isinstance(area, bool):
            raise InvalidRequest(f"energy_delay: area={area!r}; expected true or false")
        self.metrics = ("energy", "latency", *(("area",) if area else ()))

    def score(self, values: Mapping[str, Floats]) -> Floats:
        return np.asarray(-np.prod([values[name] for name in self.metrics], axis=0))
