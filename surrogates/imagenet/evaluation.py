"""Judging the model by families of networks that it never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hwnasbench.predictors.imagenet import FEATURES
from surrogates.imagenet.model import PUBLISHED, SLOPES, Fitted, Model, Published, scale_of
from surrogates.imagenet.rows import Rows, of_networks, score
from surrogates.imagenet.wider import LIMIT, share_worse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from surrogates.imagenet.anchors import Anchor

    Floats = NDArray[np.float64]

_ALWAYS = FEATURES[:8]
#: The lists of features that training chooses from, by the families that it sees: the short one, and longer ones.
CANDIDATES = (
    _ALWAYS,
    (*_ALWAYS, "log_params"),
    (*_ALWAYS, "smooth"),
    (*_ALWAYS, "log_bottleneck"),
    (*_ALWAYS, "log_params", "log_bottleneck"),
    FEATURES,
)
#: The accuracies in % that it takes for out of reach; 100 is none. Wrong labels alone keep a network below 100.
CEILINGS = (100.0, 96.0, 92.0, 90.0, 88.0, 86.0)
#: Families whose anchors the model must get right; others are learned from, and left out too, but not judged by.
JUDGED = (
    "FBNet",
    "MobileNetV2",
    "MnasNet",
    "ProxylessNAS",
    "Single-Path NAS",
    "MobileNetV3",
    "EfficientNet",
)


class HeldOut(NamedTuple):
    """Predictions of anchors by models that never saw their family.

    Attributes
    ----------
    values, std : (n,) ndarray of float64
        In %; std is before calibration.
    residuals : (n,) ndarray of float64
        Differences of the scores over their spread.
    chosen : dict of str to Fitted
        What training made without each family.
    """

    values: Floats
    std: Floats
    residuals: Floats
    chosen: dict[str, Fitted]


def published(anchors: list[Anchor]) -> Published:
    """Turn anchors into arrays."""
    return Published(
        of_networks([anchor.network for anchor in anchors]),
        np.array([anchor.top1 for anchor in anchors]),
        np.array([anchor.family for anchor in anchors]),
        np.array([float(anchor.recipe == PUBLISHED[1]) for anchor in anchors]),
    )


def train(seen: Published, tables: Mapping[str, Rows]) -> Fitted:
    """Choose features, ceiling and the spread of the slopes by leaving out one family after the other, and fit.

    Only among models that make few networks worse by widening them (`surrogates.imagenet.wider`).
    """
    best, chosen = np.inf, None
    for names in CANDIDATES:
        for ceiling in CEILINGS:
            model = Model(names, tables, scale_of(seen.features, names), ceiling)
            for slopes in SLOPES if tables else SLOPES[-1:]:
                fitted = model.fit(seen, slopes)
                if tables and share_worse(fitted) > LIMIT:
                    continue
                error = float(np.abs(_leave_out(model, seen, slopes) - seen.top1).mean())
                if error < best:
                    best, chosen = error, fitted
    if chosen is None:
        raise ValueError("every model makes networks worse by widening them")
    return chosen


def hold_out(seen: Published, tables: Mapping[str, Rows]) -> HeldOut:
    """Predict each family by what `train` makes of the others."""
    values, std, residuals = (np.empty(len(seen.top1)) for _ in range(3))
    chosen = {}
    for family, rows, rest in _splits(seen):
        fitted = train(seen.only(rest), tables)
        chosen[family] = fitted
        for row in rows:
            values[row], std[row], residuals[row] = _judge(fitted, seen, row)
    return HeldOut(values, std, residuals, chosen)


def _splits(seen: Published) -> Iterable[tuple[str, NDArray[np.intp], NDArray[np.intp]]]:
    for family in sorted(set(seen.family.tolist())):
        yield family, np.flatnonzero(seen.family == family), np.flatnonzero(seen.family != family)


def _leave_out(model: Model, seen: Published, slopes: float) -> Floats:
    values = np.empty(len(seen.top1))
    for _, rows, rest in _splits(seen):
        fitted = model.fit(seen.only(rest), slopes)
        for row in rows:
            values[row], _, _ = _judge(fitted, seen, row)
    return values


def _judge(fitted: Fitted, seen: Published, row: int) -> tuple[float, float, float]:
    """Return value, std and residual of one network."""
    recipe = PUBLISHED[int(seen.advanced[row])]
    found, variance = fitted.predict(seen.features[row : row + 1], recipe)
    error, spread = float(np.exp(-found[0])), float(np.sqrt(variance[0]))
    true = float(score(seen.top1[row : row + 1], fitted.ceiling)[0])
    return fitted.ceiling - error, spread * error, (true - float(found[0])) / spread


def kendall(first: Floats, second: Floats, apart: NDArray[np.bool_] | None = None) -> float:
    """Return the share of pairs in the same order minus those in the other; of the pairs that are `apart` alone.

    Pairs of equal published values count as neither.
    """
    signs = np.sign(first[:, None] - first) * np.sign(second[:, None] - second)
    pairs = np.triu(np.ones(signs.shape, bool), 1)
    if apart is not None:
        pairs &= apart
    return float(signs[pairs].mean())


def table_quality(tables: Mapping[str, Rows], like: Fitted, folds: int = 5) -> dict[str, dict[str, Any]]:
    """Judge the shape within each table by 5-fold cross-validation: R2, Kendall and MAE in points.

    The slopes are the table's own, for the features and the ceiling of `like`.
    """
    from scipy.stats import kendalltau

    columns = [FEATURES.index(name) for name in like.features]
    out = {}
    for recipe, rows in tables.items():
        x = np.concatenate([np.ones((len(rows.top1), 1)), rows.features[:, columns]], axis=1)
        y, held = score(rows.top1, like.ceiling), np.empty(len(rows.top1))
        fold = np.random.default_rng(0).permutation(len(y)) % folds
        for part in range(folds):
            own = fold != part
            held[~own] = x[~own] @ np.linalg.lstsq(x[own], y[own], rcond=None)[0]
        guessed = like.ceiling - np.exp(-held)
        left = ((rows.top1 - guessed) ** 2).sum() / ((rows.top1 - rows.top1.mean()) ** 2).sum()
        out[recipe] = {
            "rows": len(y),
            "r2": round(float(1 - left), 4),
            "kendall": round(float(kendalltau(guessed, rows.top1).statistic), 4),
            "mae": round(float(np.abs(guessed - rows.top1).mean()), 4),
        }
    return out
