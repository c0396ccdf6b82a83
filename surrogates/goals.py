"""What the surrogates were to reach on networks that they never saw, one line a goal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = """\
Goals were set before the models were chosen, at or above what a plain XGBoost or the publication of the data
reaches. Where one is missed, the learning curve and the ceiling below tell whether more rows or less noise
would be needed.
"""


@dataclass(frozen=True)
class Goal:
    """The least that one number of some columns' scorecards is to be.

    Attributes
    ----------
    space, metric, source : str
    number : str
        As the page names it.
    read : callable
        Takes a scorecard; returns the number, or None.
    least : float
        The goal; the most for an error.
    keys : dict
        The keys that a column must have.
    most : bool
        True where smaller is better.
    """

    space: str
    metric: str
    source: str
    number: str
    read: Callable[[dict[str, Any]], float | None]
    least: float
    keys: dict[str, Any] = field(default_factory=dict)
    most: bool = False

    def speaks_of(self, card: dict[str, Any]) -> bool:
        """Whether the goal is of this column."""
        same = all(card[name] == getattr(self, name) for name in ("space", "metric", "source"))
        return same and all(card["keys"].get(key) == value for key, value in self.keys.items())

    def found(self, card: dict[str, Any]) -> float | None:
        """Return what the column reaches."""
        return self.read(card)

    def reached(self, found: float) -> bool:
        """Whether a number is as good as the goal, unrounded."""
        return found <= self.least if self.most else found >= self.least


def _of(name: str) -> Callable[[dict[str, Any]], float | None]:
    return lambda card: card.get(name)


def _learned(size: int) -> Callable[[dict[str, Any]], float | None]:
    return lambda card: next((p["kendall"] for p in card["learning_curve"] if p["learned_from"] == size), None)


def _largest_error(card: dict[str, Any]) -> float | None:
    return card["mape"] if card["coverage"] == "exact" else None


def _latency(device: str, spearman: float) -> Goal:
    return Goal("nasbench201", "latency", "help", "Spearman", _of("spearman"), spearman, {"device": device, "batch": 1})


def _gpus() -> list[Goal]:
    goals = []
    for device in ("gtx_1080ti", "rtx_2080ti", "titan_rtx", "titan_x", "titan_xp"):
        for batch in (32, 256):
            keys = {"device": device, "batch": batch}
            of = ("nasbench201", "latency", "help")
            goals.append(Goal(*of, "Spearman", _of("spearman"), 0.998, keys))
            goals.append(Goal(*of, "within 10 %", _of("within_10"), 0.998, keys))
    return goals


def _accuracy(dataset: str, kendall: float, best: float, few: float) -> list[Goal]:
    keys = {"dataset": dataset, "epochs": 200, "split": "test"}
    of = ("nasbench201", "accuracy", "robot")
    return [
        Goal(*of, "Kendall", _of("kendall"), kendall, keys),
        Goal(*of, "Kendall among the best 10 %", _of("kendall_best"), best, keys),
        Goal(*of, "Kendall from 900 rows", _learned(900), few, keys),
    ]


def _accelerators() -> list[Goal]:
    of = ("mnasnet", "accuracy", "accelnasbench")
    goals = [Goal(*of, "R2", _of("r2"), 0.985), Goal(*of, "Kendall", _of("kendall"), 0.925)]
    for device, metric, kendall in (
        ("vck190", "latency", 0.97),
        ("zcu102", "latency", 0.96),
        ("a100", "throughput", 0.968),
        ("rtx_3090", "throughput", 0.966),
        ("tpu_v2", "throughput", 0.965),
        ("tpu_v3", "throughput", 0.91),
    ):
        goals.append(Goal("mnasnet", metric, "accelnasbench", "Kendall", _of("kendall"), kendall, {"device": device}))
    return goals


#: Every goal, in the order in which the page lists them.
GOALS = (
    *(
        Goal("nasbench201", "latency", "help", "mean relative error", _largest_error, 1e-6, {"device": name}, most=True)
        for name in ("eyeriss", "fpga")
    ),
    *(
        Goal("fbnet", "latency", "help", "mean relative error", _largest_error, 1e-9, {"device": name}, most=True)
        for name in ("pixel3", "raspi4", "eyeriss", "fpga")
    ),
    *(
        _latency(*row)
        for row in (("pixel3", 0.981), ("raspi4", 0.982), ("gold_6226", 0.987), ("gold_6240", 0.960), ("pixel2", 0.900))
    ),
    *_gpus(),
    *_accuracy("cifar10", 0.900, 0.57, 0.80),
    *_accuracy("cifar100", 0.890, 0.54, 0.81),
    *_accuracy("ImageNet16-120", 0.900, 0.57, 0.82),
    *_accelerators(),
    Goal("nasbench_macro", "accuracy", "nasbench_macro", "Kendall", _of("kendall"), 0.93),
    Goal("ofa_mobilenetv3", "accuracy", "dynast", "Kendall", _of("kendall"), 0.90),
    Goal("ofa_mobilenetv3", "accuracy", "dynast", "mean absolute error, points", _of("mae"), 0.20, most=True),
)
