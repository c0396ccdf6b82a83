"""Fit the sensitivity of layers to published tables, and judge it on networks that it did not see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hwnasbench.networks.layers import Op
from hwnasbench.predictors.precision_layers import Sensitivity, loss, millions, saturated
from hwnasbench.predictors.words import METHODS
from surrogates.precision import intervals
from surrogates.precision.networks import known
from surrogates.precision.published import ELSEWHERE, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

#: Points of top-1 that a network of these tables has above chance, about: not fitted.
CEILING = 70.0
_START = np.log([2.0, 4.0, 0.4, 3.5, 0.5])


def weighted(name: str) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Return the convolutions and linear layers of a known network, and their offsets."""
    layers = known(name).layers
    heavy = layers[np.isin(layers["op"], (Op.CONV, Op.LINEAR))]
    return heavy, np.array([0, len(heavy)])


def predict(model: Sensitivity, row: Row) -> float:
    """Return the loss that the model gives for a published row."""
    layers, offsets = weighted(row.network)
    if row.low is not None:
        shares = (np.array([low + (1 - low) * model.ratio**-4]) for low in row.low)
        return float(saturated(model, row.method, millions(layers, offsets), *shares)[0])
    bits = np.tile(np.array(row.bits, np.float64), (len(layers), 1))
    bits[[0, -1]] = 8
    return float(loss(model, row.method, layers, offsets, bits)[0])


def fit(rows: Sequence[Row], together: bool = True) -> Sensitivity:
    """Fit five parameters by least squares of the logarithm of (1 + loss).

    Parameters
    ----------
    rows : sequence of Row
    together : bool
        Whether the mixed schemes of one network weigh as much as one row: they are variants of one training.
    """
    from scipy.optimize import least_squares

    mixed = {row.network: sum(r.low is not None and r.network == row.network for r in rows) for row in rows}
    weight = np.array([1.0 if row.low is None or not together else mixed[row.network] ** -0.5 for row in rows])
    target = np.log1p([row.loss for row in rows])

    # Where no row has a method, nothing says where its parameter should go: it stays.
    free = np.array([*(any(row.method == method for row in rows) for method in METHODS), True, True, True])

    def whole(x: NDArray[np.float64]) -> NDArray[np.float64]:
        out = _START.copy()
        out[free] = x
        return out

    def residuals(x: NDArray[np.float64]) -> NDArray[np.float64]:
        found = [predict(_model(whole(x)), row) for row in rows]
        return np.asarray(weight * (np.log1p(found) - target))

    return _model(whole(least_squares(residuals, _START[free], xtol=1e-12, ftol=1e-12, gtol=1e-12).x))


def _model(x: NDArray[np.float64]) -> Sensitivity:
    """Turn five free numbers into parameters above 0, the share of weights below 1."""
    ptq, qat, exponent, ratio = (float(value) for value in np.exp(x[:4]))
    odds = float(np.exp(x[4]))
    return Sensitivity(ptq, qat, exponent, ratio, odds / (1 + odds), CEILING, 0.0, 0.0)


#: What must come in this order, from the smallest loss to the largest.
ORDER = ("W8A8", "W6A6", "W4A4", "W2A4")
#: Neither table has W6A6: its place is judged, not its value.
_SIX = (6, 6)
#: Largest error that was asked for, in points, by the lower of the two bits.
ASKED = {8: 1.5, 6: 1.5, 4: 3.0}


class Judged(NamedTuple):
    """One network left out: its rows with the predictions of a fit that saw none of them, and W6A6's."""

    network: str
    rows: list[tuple[Row, float]]
    six: float


def held_out(rows: Sequence[Row], together: bool = True) -> list[Judged]:
    """Leave one network after the other out, with all its rows in every table."""
    out = []
    for name in dict.fromkeys(row.network for row in rows):
        model = fit([row for row in rows if row.network != name], together)
        found = [(row, predict(model, row)) for row in rows if row.network == name]
        out.append(Judged(name, found, predict(model, Row(name, "ptq", ORDER[1], 0.0, _SIX))))
    return out


def in_order(judged: Judged) -> bool:
    """Whether the predicted order is `ORDER`, and the published one too as far as there is one."""
    some = {row.label: (found, row.loss) for row, found in judged.rows if row.method == "ptq" and row.label in ORDER}
    predicted = {**{label: found for label, (found, _) in some.items()}, ORDER[1]: judged.six}
    published = {label: lost for label, (_, lost) in some.items()}
    return sorted(predicted, key=predicted.__getitem__) == list(ORDER) and sorted(
        published, key=published.__getitem__
    ) == [label for label in ORDER if label in published]


class Spread(NamedTuple):
    """What is wrong with losses of networks left out, at one precision for all layers.

    Attributes
    ----------
    floor, relative : float
        As in `Sensitivity`.
    residuals : list of float
        Published less predicted loss, over its std.
    """

    floor: float
    relative: float
    residuals: list[float]

    def scaled(self, row: Row, found: float) -> float:
        """Return the residual of a row over its std."""
        return (row.loss - found) / float(np.hypot(self.floor, self.relative * found))


def spread(uniform: Sequence[tuple[Row, float]]) -> Spread:
    """Measure the spread of rows left out."""
    eight = np.array([found - row.loss for row, found in uniform if row.bits == (8, 8)])
    lower = [(found, found - row.loss) for row, found in uniform if row.bits != (8, 8)]
    floor = float(np.sqrt(np.mean(eight**2)))
    relative = float(np.sqrt(np.mean([max(error**2 - floor**2, 0) / found**2 for found, error in lower])))
    out = Spread(floor, relative, [])
    out.residuals.extend(out.scaled(row, found) for row, found in uniform)
    return out


def uniform_rows(judged: Sequence[Judged]) -> list[tuple[Row, float]]:
    """Return the rows with one precision for all layers, and what was predicted."""
    return [(row, found) for network in judged for row, found in network.rows if row.bits is not None]


def coverage(rows: Sequence[Row], judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """Say how often intervals hold a network's losses that know nothing of it: neither fit nor spread nor quantiles.

    The spread and the quantiles are of the other networks, each predicted by a fit that saw neither of the two. A
    method that no such fit saw is left out of them: two networks alone were trained further.
    """
    held: dict[str, dict[float, list[bool]]] = {}
    for network in judged:
        others = [row for row in rows if row.network != network.network]
        known = [(row, found) for row, found in uniform_rows(held_out(others)) if _seen(row, others)]
        width = spread(known)
        for name, kind in _KINDS.items():
            some = [width.scaled(row, found) for row, found in network.rows if kind(row)]
            for level, inside in intervals.of_few(some, width.residuals).items() if some else ():
                held.setdefault(name, {}).setdefault(level, []).extend(inside)
    return [intervals.row(f"ImageNet, loss, {name}", "other networks", found) for name, found in held.items()]


def _seen(row: Row, rows: Sequence[Row]) -> bool:
    """Whether another network has the method of a row."""
    return any(other.method == row.method and other.network != row.network for other in rows)


_KINDS: dict[str, Callable[[Row], bool]] = {
    "ptq": lambda row: row.method == "ptq",
    "qat": lambda row: row.method == "qat" and row.bits is not None,
    "qat, mixed schemes": lambda row: row.low is not None,
}


def card(rows: Sequence[Row]) -> tuple[Sensitivity, Spread, dict[str, Any], list[dict[str, Any]]]:
    """Return the model fitted to all rows, its spread on networks left out, the errors there, and the coverage."""
    judged, model = held_out(rows), fit(rows)
    uniform = uniform_rows(judged)
    width = spread(uniform)
    model = model._replace(floor=width.floor, relative=width.relative)
    found = {
        "parameters": {name: round(value, 6) for name, value in model._asdict().items()},
        "rows": len(rows),
        "left_out": [_errors(network, method) for network in judged for method in _methods(network)],
        "goals": _goals(uniform),
        "qat_w4a4_apart": round(max(_qat_w4a4(held_out(rows, together=False))), 2),
        "elsewhere": [
            {"network": row.network, "precision": row.label, "error": round(predict(model, row) - row.loss, 2)}
            for row in ELSEWHERE
        ],
    }
    return model, width, found, coverage(rows, judged)


def _qat_w4a4(judged: list[Judged]) -> list[float]:
    rows = [pair for network in judged for pair in network.rows]
    return [abs(found - row.loss) for row, found in rows if (row.method, row.bits) == ("qat", (4, 4))]


def _methods(judged: Judged) -> list[str]:
    return sorted({row.method for row, _ in judged.rows})


def _errors(judged: Judged, method: str) -> dict[str, Any]:
    """Return predicted less published loss of one network at each precision, and of its mixed schemes together."""
    rows = [(row, found) for row, found in judged.rows if row.method == method]
    mixed = [abs(found - row.loss) for row, found in rows if row.low is not None]
    return {
        "network": judged.network,
        "method": method,
        "errors": {row.label: round(found - row.loss, 2) for row, found in rows if row.bits is not None},
        "mixed": {"schemes": len(mixed), "mean": round(float(np.mean(mixed)), 2), "worst": round(max(mixed), 2)}
        if mixed
        else None,
        "w6a6_predicted": round(judged.six, 2) if method == "ptq" else None,
        "in_order": in_order(judged) if method == "ptq" else None,
    }


def _goals(uniform: list[tuple[Row, float]]) -> list[dict[str, Any]]:
    """Say by method and precision how far the worst network left out is, and whether that was asked for."""
    groups: dict[tuple[str, str], list[tuple[Row, float]]] = {}
    for row, found in uniform:
        groups.setdefault((row.method, row.label), []).append((row, found))
    out: list[dict[str, Any]] = []
    for (method, label), rows in groups.items():
        errors = [abs(found - row.loss) for row, found in rows]
        asked = ASKED.get(min(rows[0][0].bits or (0, 0)))
        out.append(
            {
                "method": method,
                "precision": label,
                "networks": len(errors),
                "mean": round(float(np.mean(errors)), 2),
                "worst": round(max(errors), 2),
                "asked": asked,
                "reached": None if asked is None else max(errors) <= asked,
            }
        )
    return out
