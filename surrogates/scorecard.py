"""Scorecards: the held-out quality of a surrogate, in numbers that say the same everywhere."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.vocabulary import METRICS
from surrogates.intervals import Residuals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.spaces.nasbench201 import NasBench201
    from surrogates.columns import Column

_DIGITS = 6


def rounded(value: float) -> float | None:
    """Round to six significant digits; None where there is no number."""
    return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None


def describe(column: Column, family: str) -> dict[str, Any]:
    """Return the part of a scorecard that says what the column is."""
    return {
        "space": column.space,
        "metric": column.metric,
        "source": column.source,
        "keys": column.keys,
        "of": column.of,
        "family": family,
    }


def quality(
    true: NDArray[np.float64], predicted: NDArray[np.float64], metric: str = "accuracy"
) -> dict[str, float | int | None]:
    """Compare predictions with published values they were not fitted to.

    Parameters
    ----------
    true, predicted : (n,) ndarray of float64
    metric : str
        Its direction says which published values are the best.

    Returns
    -------
    dict
        rows, r2, spearman, kendall, kendall_best, mae, mape, within_5, within_10. kendall_best is among
        the best tenth of the published values. The last three are fractions of the published value,
        and null where a published value is not positive. A rank correlation with a constant is null.
    """
    from scipy import stats

    residual = predicted - true
    spread = float(((true - true.mean()) ** 2).sum())
    varied = np.ptp(true) > 0 and np.ptp(predicted) > 0
    out: dict[str, float | int | None] = {
        "rows": len(true),
        "r2": rounded(1 - float((residual**2).sum()) / spread) if spread > 0 else None,
        "spearman": rounded(float(stats.spearmanr(true, predicted).statistic)) if varied else None,
        "kendall": rounded(float(stats.kendalltau(true, predicted).statistic)) if varied else None,
        "kendall_best": _kendall_best(true, predicted, metric),
        "mae": rounded(float(np.abs(residual).mean())),
        "mape": None,
        "within_5": None,
        "within_10": None,
    }
    if true.min() > 0:
        relative = np.abs(residual) / true
        out["mape"] = rounded(float(relative.mean()))
        out["within_5"] = rounded(float((relative <= 0.05).mean()))
        out["within_10"] = rounded(float((relative <= 0.10).mean()))
    return out


def _kendall_best(true: NDArray[np.float64], predicted: NDArray[np.float64], metric: str) -> float | None:
    from scipy import stats

    signed = -true if METRICS[metric].direction == "min" else true
    best = signed >= np.quantile(signed, 0.9)
    if np.ptp(true[best]) == 0 or np.ptp(predicted[best]) == 0:
        return None
    return rounded(float(stats.kendalltau(true[best], predicted[best]).statistic))


def swap_pairs(space: NasBench201) -> NDArray[np.int64]:
    """Return (index, index of the node swap) of every connected pair, each pair once, shape (n, 2)."""
    pairs = []
    for arch in space:
        twin = space.node_swap(arch)
        if twin is not None and space.is_connected(arch):
            a, b = space.index(arch), space.index(twin)
            if a < b:
                pairs.append((a, b))
    return np.array(sorted(pairs), np.int64)


def noise_ceiling(
    values: NDArray[np.float64], own: NDArray[np.bool_], pairs: NDArray[np.int64]
) -> dict[str, float | int] | None:
    """Say how well two measurements of the same graph agree, and what a perfect model could reach.

    Each pair is counted in both orders, so that which member comes first does not matter. The
    ceilings hold for errors that are independent in the two measurements: the square root of the
    agreement for Spearman; for Kendall the same through the normal distribution's
    ``rho = sin(pi / 2 * tau)``.

    Parameters
    ----------
    values : (15625,) ndarray of float64
    own : (15625,) ndarray of bool
        Which values count.
    pairs : (n, 2) ndarray of int
        Indices of the same graph; see `swap_pairs`.

    Returns
    -------
    dict or None
        pairs, spearman, kendall, spearman_ceiling, kendall_ceiling; None below 20 pairs.
    """
    from scipy import stats

    both = pairs[own[pairs].all(axis=1)]
    if len(both) < 20:
        return None
    a, b = values[np.r_[both[:, 0], both[:, 1]]], values[np.r_[both[:, 1], both[:, 0]]]
    if np.ptp(a) == 0:
        return None
    rho, tau = float(stats.spearmanr(a, b).statistic), float(stats.kendalltau(a, b).statistic)
    latent = np.sqrt(max(np.sin(np.pi / 2 * tau), 0.0))
    numbers = {
        "spearman": rho,
        "kendall": tau,
        "spearman_ceiling": np.sqrt(max(rho, 0.0)),
        "kendall_ceiling": 2 / np.pi * np.arcsin(latent),
    }
    return {"pairs": len(both), **{name: rounded(float(number)) or 0.0 for name, number in numbers.items()}}


def spread(
    predicted: NDArray[np.float64], true: NDArray[np.float64], held_out: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the spread of the true value around each prediction, from the rows that are `held_out`."""
    return Residuals(predicted[held_out], true[held_out]).spread(predicted)


def libraries() -> dict[str, str]:
    """Return the versions of the libraries that the numbers depend on."""
    out = {}
    for name in ("numpy", "scipy", "pyarrow", "torch"):
        out[name] = version(name)
    for name in ("xgboost-cpu", "xgboost"):
        try:
            out["xgboost"] = version(name)
            break
        except PackageNotFoundError:
            continue
    return out
