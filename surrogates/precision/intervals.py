"""Quantiles of the residuals of losses on left-out data, and how often their intervals hold what was published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.rows import nasbench201
from hwnasbench.errors import CorruptFile
from hwnasbench.predictors.base import Quantiles
from hwnasbench.predictors.sums import Part, Summed
from surrogates.intervals import CHECKED, LEVELS, Residuals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwnasbench.predictors.precision import PrecisionModel
    from hwnasbench.tables.columns import Column

_GROUPS = 10
#: Probability that the share of rows held lies in the band beside it, were every row held by chance at the level.
_BAND = 0.99


def spread(predicted: NDArray[np.float64], true: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return limits of ten groups of predictions and the root mean square of the residuals in each."""
    limits = np.quantile(predicted, np.arange(1, _GROUPS) / _GROUPS)
    group = np.searchsorted(limits, predicted, side="right")
    overall = np.sqrt(np.mean((predicted - true) ** 2))
    errors = [(predicted - true)[group == number] for number in range(_GROUPS)]
    return limits, np.array([np.sqrt(np.mean(e**2)) if len(e) else overall for e in errors])


class Grouped:
    """Spread and quantiles of the losses of many cells, as they ship.

    Parameters
    ----------
    predicted, true : (n,) ndarray of float64
        Predictions of models that did not see the cell.
    """

    def __init__(self, predicted: NDArray[np.float64], true: NDArray[np.float64]) -> None:
        self.limits, self.std = spread(predicted, true)
        self.residuals = Residuals(predicted, true, self.scale(predicted))

    def scale(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the std of each prediction."""
        return np.asarray(self.std[np.searchsorted(self.limits, predicted, side="right")])

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the arrays that `hwnasbench.predictors.precision_errors` reads."""
        return {
            f"errors_{name}": self.residuals.table.astype(np.float32),
            f"errors_{name}_edges": self.residuals.edges,
        }


def unseen(
    predicted: NDArray[np.float64], true: NDArray[np.float64], fold: NDArray[np.int8]
) -> dict[float, NDArray[np.bool_]]:
    """Say by level which losses lie in intervals whose spread and quantiles are of the other folds."""
    held = {level: np.zeros(len(true), bool) for level in CHECKED}
    for number in np.unique(fold):
        mine = fold == number
        others = Grouped(predicted[~mine], true[~mine])
        scale = others.scale(predicted[mine])
        for level, inside in held.items():
            inside[mine] = others.residuals.inside(predicted[mine], true[mine], level, scale)
    return held


def symmetric(residuals: Sequence[float]) -> list[float]:
    """Return quantiles at `LEVELS` of residuals and of their opposites: few networks tell little of a bias."""
    both = [*residuals, *(-one for one in residuals)]
    return list(np.quantile(both, LEVELS, method="weibull").tolist())


def of_few(residuals: Sequence[float], others: Sequence[float]) -> dict[float, list[bool]]:
    """Say by level which normalised residuals lie in the intervals that the others' give."""
    table = Quantiles(LEVELS, [], [symmetric(others)])
    ends = {level: table.interval(0.0, 1.0, level) for level in CHECKED}
    return {level: [low <= one <= high for one in residuals] for level, (low, high) in ends.items()}


def row(name: str, others: str, held: dict[float, Any]) -> dict[str, Any]:
    """Return one line of the scorecard: rows, and by level the share in % that intervals of others' quantiles hold.

    Beside each share is where it would lie with a probability of 99 % if the intervals were right and one row told
    nothing of another. Rows do: of one network, of one cell in several trainings, so that the band is too narrow.
    """
    from scipy import stats

    out: dict[str, Any] = {"of": name, "quantiles_of": others, "rows": len(held[CHECKED[0]])}
    for level in CHECKED:
        band = stats.binom.ppf([(1 - _BAND) / 2, (1 + _BAND) / 2], out["rows"], level) / out["rows"]
        out[f"held_{level:.0%}"] = round(100 * float(np.mean(held[level])), 1)
        out[f"band_{level:.0%}"] = [round(100 * float(end), 1) for end in band]
    return out


def combined(
    model: PrecisionModel, full: Column, method: str, rows: NDArray[np.int64], true: NDArray[np.float64]
) -> dict[float, list[bool]]:
    """Say by level which accuracies at int8 lie in the intervals of the one in float32 less the loss, as they ship.

    Parameters
    ----------
    model : PrecisionModel
    full : Column
        Predicted accuracies in float32, of models that did not see the cell.
    method : {"ptq", "qat"}
    rows : (n,) ndarray of int
        Cells of NAS-Bench-201.
    true : (n,) ndarray of float64
        Their published accuracies at int8.
    """
    space = nasbench201()
    held: dict[float, list[bool]] = {level: [] for level in CHECKED}
    vectors = space.all_vectors()[rows]
    loss = model.loss_nasbench201(vectors, method=method)
    for number, (where, accuracy) in enumerate(zip(rows.tolist(), true.tolist(), strict=True)):
        value, std, known = full.read(where), full.std_at(where), full.quantiles_at(where)
        if std is None or known is None:
            raise CorruptFile(f"{full!r} has no quantiles of residuals")
        lost, spread = float(loss.values[number]), float(loss.std[number])
        parts = model.errors(space, vectors[[number]], lost, spread, method)
        both = Summed([Part(known, value, std), *(part._replace(scale=-part.scale) for part in parts)])
        for level, inside in held.items():
            low, high = both.interval(value - lost, float(np.hypot(std, spread)), level)
            inside.append(low <= accuracy <= high)
    return held
