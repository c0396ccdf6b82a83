"""Losses for differentiable search: the loss of the task and an expected cost, as one number to go down on.

What the task loses is told by the searcher's surrogate. The cost is the sum over operators of alpha x cost. Both are
differentiable in the architecture parameters alpha. Only methods of tensors are used, so that nothing is imported.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hwnasbench.errors import InvalidRequest, UnknownName
from hwnasbench.search.objectives.numbers import cost as cost_named
from hwnasbench.search.objectives.numbers import positive

if TYPE_CHECKING:
    from torch import Tensor

#: Thousandths of the unit that a metric is in: FBNet's logarithm is of a latency well above one.
_THOUSAND = 1000.0


class DifferentiableLoss(ABC):
    """What a differentiable searcher goes down on.

    Parameters
    ----------
    metric : str
        The cost, ``METRIC`` or ``METRIC@DEVICE``; one of which less is better.
    target : float, optional
        Of the cost, in its unit; None takes the objective's limit on it, or else the mean over architectures drawn
        uniformly.

    Attributes
    ----------
    metric : str
    target : float or None
    paper : str
        Where its form was published.
    """

    paper: str = ""

    def __init__(self, metric: str, target: float | None) -> None:
        self.metric = cost_named(type(self).__name__, "metric", metric)
        self.target = None if target is None else self._positive("target", target)

    def _positive(self, name: str, value: object) -> float:
        return positive(type(self).__name__, name, value)

    @abstractmethod
    def __call__(self, task: Tensor, cost: Tensor, target: float) -> Tensor:
        """Return the losses of relaxed architectures.

        Parameters
        ----------
        task : (n,) Tensor
            Loss of the task; above 0.
        cost : (n,) Tensor
            Expected cost, in the metric's unit.
        target : float
            In the same unit.
        """


class LossPlusCost(DifferentiableLoss):
    """Loss + weight x (cost - target) / target: equations (10) to (12) of the survey.

    Parameters
    ----------
    metric : str
    weight : float
        Lambda. The default is that of ProxylessNAS' search on ImageNet.
    target : float, optional

    Notes
    -----
    The form, divided by the target, and ``weight`` 0.1 were read in mit-han-lab/proxylessnas
    (``search/nas_manager.py``, "add#linear"; ``search/imagenet_arch_search.py``).
    """

    paper = "H. Cai et al., ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware, ICLR 2019"

    def __init__(self, metric: str = "latency", weight: float = 0.1, target: float | None = None) -> None:
        super().__init__(metric, target)
        self.weight = self._positive("weight", weight)

    def __call__(self, task: Tensor, cost: Tensor, target: float) -> Tensor:
        return task + self.weight * (cost / target - 1.0)


class LossPlusLogCost(DifferentiableLoss):
    """Loss + weight x log(cost / target), as of Single-Path NAS.

    Parameters
    ----------
    metric : str
    weight : float
    target : float, optional

    Notes
    -----
    The logarithm and ``weight`` 0.1 were read in enyac-group/single-path-nas (``nas-search/search_main.py``), which
    divides by no target and so differs by a constant.
    """

    paper = "D. Stamoulis et al., Single-Path NAS: Designing Hardware-Efficient ConvNets in less than 4 Hours, 2019"

    def __init__(self, metric: str = "latency", weight: float = 0.1, target: float | None = None) -> None:
        super().__init__(metric, target)
        self.weight = self._positive("weight", weight)

    def __call__(self, task: Tensor, cost: Tensor, target: float) -> Tensor:
        return task + self.weight * (cost.clamp(min=1e-6 * target) / target).log()


class LossTimesLogCost(DifferentiableLoss):
    """Loss x alpha x log(cost)^beta, a product: FBNet's, equation (13) of the survey.

    Parameters
    ----------
    metric : str
    alpha, beta : float
        FBNet's.
    target : float, optional
        Not in the formula.

    Notes
    -----
    Equation and product as the survey prints them; alpha 0.2 and beta 0.6 are recalled from FBNet, and so is that its
    latency is in microseconds. Here a cost is taken in thousandths of its unit: microseconds for latency.
    """

    paper = "B. Wu et al., FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable NAS, CVPR 2019 (recalled)"

    def __init__(
        self, metric: str = "latency", alpha: float = 0.2, beta: float = 0.6, target: float | None = None
    ) -> None:
        super().__init__(metric, target)
        self.alpha, self.beta = self._positive("alpha", alpha), self._positive("beta", beta)

    def __call__(self, task: Tensor, cost: Tensor, target: float) -> Tensor:
        # Below one the logarithm is negative, and a power of it is not a number.
        return task * self.alpha * (cost * _THOUSAND).clamp(min=1.001).log() ** self.beta


class LossOverTarget(DifferentiableLoss):
    """Loss + weight x log(1 + steepness x max(0, cost / target - 1)): S3NAS', active only over the target.

    Parameters
    ----------
    metric : str
    weight, steepness : float
        S3NAS'; its steepness is 100 a millisecond over a target of 5 ms, which is 500 a multiple of the target.
    target : float, optional

    Notes
    -----
    Formula and constants were read in cap-lab/S3NAS (``run/nas_utils.py``, ``run/main.py``).
    """

    paper = "J. Lee et al., S3NAS: Fast NPU-aware Neural Architecture Search Methodology, 2020"

    def __init__(
        self, metric: str = "latency", weight: float = 15.0, steepness: float = 500.0, target: float | None = None
    ) -> None:
        super().__init__(metric, target)
        self.weight, self.steepness = self._positive("weight", weight), self._positive("steepness", steepness)

    def __call__(self, task: Tensor, cost: Tensor, target: float) -> Tensor:
        return task + self.weight * (1.0 + self.steepness * (cost / target - 1.0).clamp(min=0.0)).log()


#: One line a loss that a study's file can name.
_REGISTRY: dict[str, type[DifferentiableLoss]] = {
    "over_target": LossOverTarget,
    "plus_cost": LossPlusCost,
    "plus_log_cost": LossPlusLogCost,
    "times_log_cost": LossTimesLogCost,
}


def make(loss: DifferentiableLoss | Mapping[str, Any] | str) -> DifferentiableLoss:
    """Return a loss, by its name, or of a record with ``name`` and its settings.

    Raises
    ------
    UnknownName
        When the name or a setting is unknown.
    InvalidRequest
        When a setting is out of range, or `loss` is no loss.
    """
    if isinstance(loss, DifferentiableLoss):
        return loss
    settings = {"name": loss} if isinstance(loss, str) else dict(loss) if isinstance(loss, Mapping) else {}
    name = settings.pop("name", None)
    if name is None:
        raise InvalidRequest(f"loss={loss!r}; expected a DifferentiableLoss, or one of {', '.join(sorted(_REGISTRY))}")
    if name not in _REGISTRY:
        raise UnknownName("loss", name, _REGISTRY)
    kind = _REGISTRY[name]
    known = inspect.signature(kind).parameters
    for setting in settings:
        if setting not in known:
            raise UnknownName(f"setting of {name}", setting, known)
    return kind(**settings)
