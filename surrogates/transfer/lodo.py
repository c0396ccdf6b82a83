"""Leave one chip out: predict every published column of a chip from the shipped columns of all others.

What is shipped was learned from each device's own published values alone, so that nothing of the chip that
is left out is in what remains.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from hwnasbench.onboarding.known import Features, Known, shipped_columns
from hwnasbench.onboarding.learner import Posterior
from hwnasbench.onboarding.proposal import telling
from surrogates.fits import spearman
from surrogates.scorecard import rounded
from surrogates.transfer.chips import chip_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from hwnasbench.spaces import Space
    from surrogates.columns import Column

    Floats = NDArray[np.float64]

#: Measurements of the new device, random draws of them, and the seed of the draws.
SIZES, DRAWS, SEED = (10, 20), 10, 20201
METRICS = ("latency", "energy")
#: Penalty of the ridge regression that it is compared with: of 0.1, 1 and 10 the one that ranks best on average.
_RIDGE = 10.0
#: Architectures of each draw whose residuals are kept for the quantiles.
_RESIDUALS = 200
#: What is averaged over the draws.
_JUDGED = ("spearman", "ridge", "proxy", "mape")


@dataclass
class Outcome:
    """What was found for one column.

    Attributes
    ----------
    card : dict
        Its part of the scorecard.
    residuals : dict
        Number of measurements to normalised residuals, all draws together; of values that are no exact sum.
    """

    card: dict[str, Any]
    residuals: dict[int, list[Floats]] = field(default_factory=dict)


@dataclass
class Without:
    """A space without one chip, for one metric."""

    known: Known
    features: Features
    proposed: NDArray[np.intp]


def evaluate(
    space: Space, columns: Sequence[Column], draws: int = DRAWS, tick: Callable[[str], None] | None = None
) -> dict[str, Outcome]:
    """Predict every column from the other chips.

    Parameters
    ----------
    space : Space
    columns : sequence of Column
        Published columns of the space; those of other metrics than latency and energy are passed over.
    draws : int
        Random samples for each number of measurements.
    tick : callable, optional
        Told the name of each finished column.

    Returns
    -------
    dict
        Name of the column to what was found.
    """
    out: dict[str, Outcome] = {}
    shipped = shipped_columns(space, METRICS)
    for (chip, metric), own in _by_chip(columns):
        wanted = ("latency",) if metric == "latency" else METRICS
        left = [c for c in shipped if c.metric in wanted and chip_of(str(c.keys["device"])) != chip]
        known = Known(space, left)
        features = known.features if space.enumerable else known.at(space.vectors(own[0].archs))
        given = Without(known, features, telling(features, max(SIZES)))
        for column in own:
            values = _values(known, own[0], column)
            out[column.name] = _outcome(column, chip, given, values, draws)
            if tick is not None:
                tick(column.name)
    return out


def _by_chip(columns: Iterable[Column]) -> Iterator[tuple[tuple[str, str], list[Column]]]:
    groups: dict[tuple[str, str], list[Column]] = {}
    for column in columns:
        if column.metric in METRICS:
            groups.setdefault((chip_of(str(column.keys["device"])), column.metric), []).append(column)
    yield from sorted(groups.items())


def _values(known: Known, first: Column, column: Column) -> Floats:
    """Return the published values in the order of the features; NaN where there is none of one's own."""
    if known.rows is None:
        assert column.archs == first.archs
        return np.where(column.own, column.values, np.nan)
    values, own, _ = column.dense(len(known.rows))
    return np.where(own, values, np.nan)[known.rows >= 0]


def _outcome(column: Column, chip: str, given: Without, values: Floats, draws: int) -> Outcome:
    told = {"space": column.space, "metric": column.metric, "source": column.source, "of": column.of}
    found = Outcome({"chip": chip, **told, "keys": column.keys})
    published = np.flatnonzero(np.isfinite(values))
    found.card["rows"], found.card["known"] = len(published), len(given.known.columns)
    whole = len(published) == len(values)
    proposed = given.proposed if whole else published[telling(given.features.at(published), max(SIZES))]
    for size in SIZES:
        drawn = (np.random.default_rng([SEED, size, draw]) for draw in range(draws))
        tries = [_try(given.features, values, rng.choice(published, size, replace=False)) for rng in drawn]
        best = _try(given.features, values, proposed[:size])
        judged: dict[str, Any] = {
            name: rounded(float(np.mean([t[name] for t in tries]))) for name in (*_JUDGED, "exact")
        }
        judged["lowest"] = rounded(min(t["spearman"] for t in tries))
        judged["proposed"] = {name: rounded(best[name]) for name in _JUDGED}
        found.card[str(size)] = judged
        found.residuals[size] = [t["residuals"] for t in tries if not t["exact"]]
    return found


def _try(features: Features, values: Floats, rows: NDArray[np.intp]) -> dict[str, Any]:
    """Learn from the measurements in `rows` and judge all other published values."""
    judged = np.isfinite(values)
    judged[rows] = False
    true = values[judged]
    posterior = Posterior(features.at(rows), values[rows])
    predicted, std = posterior.predict(features.at(np.flatnonzero(judged)))
    spread = np.random.default_rng([SEED, len(true)]).choice(len(true), min(_RESIDUALS, len(true)), replace=False)
    return {
        "spearman": spearman(true, predicted),
        "ridge": spearman(true, ridge(features.known, values, rows)[judged]),
        "proxy": spearman(true, features.known[judged, best_proxy(features.known, values, rows)]),
        "mape": float(np.abs(predicted / true - 1).mean()),
        "exact": float(posterior.exact),
        "residuals": ((true - predicted) / std)[spread],
    }


def ridge(known: Floats, values: Floats, rows: NDArray[np.intp]) -> Floats:
    """Return the logarithm of the values by ridge regression on the standardised logarithms of known columns."""
    target = np.log(values[rows])
    x = known[rows] - known[rows].mean(axis=0)
    dual = np.linalg.solve(x @ x.T + _RIDGE * np.eye(len(rows)), target - target.mean())
    return np.asarray(known @ (x.T @ dual))


def best_proxy(known: Floats, values: Floats, rows: NDArray[np.intp]) -> int:
    """Return the known column that ranks the measurements best; of equals the one that fits their logarithms best."""
    target = np.log(values[rows])
    if np.ptp(target) == 0:
        return 0
    by_rank, by_value = (
        _correlations(a, b) for a, b in ((rankdata(target), rankdata(known[rows], axis=0)), (target, known[rows]))
    )
    return int(np.lexsort((by_value, by_rank.round(12)))[-1])


def _correlations(a: Floats, b: Floats) -> Floats:
    """Correlate `a` with each column of `b`; a constant column correlates with nothing."""
    a, b = a - a.mean(), b - b.mean(axis=0)
    size = np.sqrt((a @ a) * (b**2).sum(axis=0))
    return np.asarray(np.divide(a @ b, size, out=np.full(len(size), -1.0), where=size > 0))
