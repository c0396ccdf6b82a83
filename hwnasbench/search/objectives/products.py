"""Objectives that multiply: accuracy by powers of costs over their targets, and costs by each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.search.objectives.base import Objective, check
from hwnasbench.search.objectives.numbers import exponent, positive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwnasbench.search.objectives.base import Floats


class MnasNet(Objective):
    """``accuracy x (latency / T)^w``, with one exponent below the target and another above it.

    Parameters
    ----------
    target : float
        T, in the unit of `cost`.
    below, above : float
        The exponents: both -0.07 is the soft form, 0 and -1 the hard one.
    cost : str
        Latency, or another metric: with ``macs`` it is EfficientNet's form.
    """

    paper = "M. Tan et al., MnasNet: Platform-Aware Neural Architecture Search for Mobile, CVPR 2019 (recalled)"

    def __init__(self, target: float, below: float = -0.07, above: float = -0.07, cost: str = "latency") -> None:
        self._target = positive("mnasnet", "target", target)
        self._below = exponent("mnasnet", "below", below)
        self._above = exponent("mnasnet", "above", above)
        self.metrics = check(("accuracy", cost))

    def score(self, values: Mapping[str, Floats]) -> Floats:
        ratio = values[self.metrics[1]] / self._target
        return np.asarray(values["accuracy"] * ratio ** np.where(ratio <= 1, self._below, self._above))


class Nahas(Objective):
    """``accuracy x (latency / T)^w0 x (area / A)^w1``, of a network and the accelerator that runs it.

    Parameters
    ----------
    latency, area : float
        The targets T in ms and A in mm2.
    w0, w1 : float
        The exponents; the survey gives no values for them, and these are MnasNet's soft one.
    """

    paper = "Y. Zhou et al., Rethinking Co-design of Neural Architectures and Hardware Accelerators, 2021 (recalled)"
    metrics = ("accuracy", "latency", "area")

    def __init__(self, latency: float, area: float, w0: float = -0.07, w1: float = -0.07) -> None:
        self._latency, self._area = positive("nahas", "latency", latency), positive("nahas", "area", area)
        self._w0, self._w1 = exponent("nahas", "w0", w0), exponent("nahas", "w1", w1)

    def score(self, values: Mapping[str, Floats]) -> Floats:
        late, large = values["latency"] / self._latency, values["area"] / self._area
        return np.asarray(values["accuracy"] * late**self._w0 * large**self._w1)


class PerformancePerArea(Objective):
    """Inferences per second and square millimetre: ``1000 / (latency x area)``.

    Alone it is what Codesign-NAS constrains; see `Codesign`.
    """

    paper = "M. S. Abdelfattah et al., Best of Both Worlds: AutoML Codesign of a CNN and its Hardware Accelerator, DAC 2020 (recalled)"  # noqa: E501
    metrics = ("latency", "area")

    def score(self, values: Mapping[str, Floats]) -> Floats:
        return np.asarray(1000.0 / (values["latency"] * values["area"]))


class Codesign(PerformancePerArea):
    """The most accurate whose performance per area reaches a threshold.

    Parameters
    ----------
    threshold : float
        Inferences per second and square millimetre.
    """

    metrics = ("accuracy", "latency", "area")

    def __init__(self, threshold: float) -> None:
        self._threshold = positive("codesign", "threshold", threshold)

    def score(self, values: Mapping[str, Floats]) -> Floats:
        return np.asarray(values["accuracy"])

    def feasible(self, values: Mapping[str, Floats]) -> np.typing.NDArray[np.bool_]:
        reached = PerformancePerArea.score(self, values) >= self._threshold
        return Objective.feasible(self, values) & reached


class EnergyDelay(Objective):
    """The energy-delay product, ``-energy x latency`` in mJ ms, or with ``area=True`` ``-energy x latency x area``."""

    def __init__(self, area: bool = False) -> None:
        self.metrics = ("energy", "latency", *(("area",) if area else ()))

    def score(self, values: Mapping[str, Floats]) -> Floats:
        return -np.prod([values[name] for name in self.metrics], axis=0)
