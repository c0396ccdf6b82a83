"""Predictions of rows by models that did not see their class, with the family chosen without them too.

Nested cross-validation: inside the rows that an outer fold learns from, a part of the classes is set
aside; the candidates are fitted to the rest, and their answers on that part decide how much each one
counts. Then all are fitted to all of the outer fold's rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from surrogates import folds as splits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from surrogates.families.base import Family

#: Shares of a blend are multiples of one over this.
_STEPS = 10


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of every row, on the scale of the target.

    Attributes
    ----------
    predicted : (n,) ndarray of float64
    shares : (folds, candidates) ndarray of float64
        How much each candidate counted in each fold; they add up to one.
    """

    predicted: NDArray[np.float64]
    shares: NDArray[np.float64]


def out_of_fold(
    candidates: Sequence[Family],
    features: Mapping[str, NDArray[np.float32]],
    target: NDArray[np.float64],
    rows: NDArray[np.bool_],
    folds: NDArray[np.int8],
    classes: NDArray[np.int64],
    seed: int = splits.SEED,
) -> OutOfFold:
    """Predict every row by models that saw no row of its fold.

    Parameters
    ----------
    candidates : sequence of Family
    features : mapping
        Name of a feature set to its (n, features) array.
    target : (n,) ndarray of float64
        Read where `rows` is true.
    rows : (n,) ndarray of bool
        What may be learned from.
    folds : (n,) ndarray of int8
        No class is in two folds.
    classes : (n,) ndarray of int
    seed : int
    """
    predicted = np.empty(len(target))
    shares = []
    for fold in np.unique(folds):
        held, train = np.flatnonzero(folds == fold), np.flatnonzero(rows & (folds != fold))
        share = choose(candidates, features, target, train, classes, seed)
        used = [(family, part) for family, part in zip(candidates, share, strict=True) if part]
        predicted[held] = sum(part * fit_predict(family, features, target, train, held, seed) for family, part in used)
        shares.append(share)
    return OutOfFold(predicted, np.array(shares))


def choose(
    candidates: Sequence[Family],
    features: Mapping[str, NDArray[np.float32]],
    target: NDArray[np.float64],
    train: NDArray[np.intp],
    classes: NDArray[np.int64],
    seed: int,
) -> NDArray[np.float64]:
    """Return how much each candidate is to count, from the rows of `train` alone.

    Of every way to share out one in tenths, the mean of the sixth whose blends rank the inner part best (Kendall):
    the best one alone is often an extreme, by chance.
    """
    if len(candidates) == 1:
        return np.ones(1)
    part = splits.assign([str(name) for name in classes[train]], seed=seed + 1)
    inner, asked = train[part != 0], train[part == 0]
    answers = np.stack([fit_predict(family, features, target, inner, asked, seed) for family in candidates])
    from scipy import stats

    tried = blends(len(candidates))
    ranks = [stats.kendalltau(share @ answers, target[asked]).statistic for share in tried]
    best = np.argsort(-np.nan_to_num(ranks, nan=-1.0), kind="stable")[: -(-len(tried) // 6)]
    return np.asarray(np.mean([tried[number] for number in best], axis=0))


def blends(candidates: int) -> list[NDArray[np.float64]]:
    """Return every way to share out one in tenths."""
    parts = product(range(_STEPS + 1), repeat=candidates)
    return [np.array(part) / _STEPS for part in parts if sum(part) == _STEPS]


def fit_predict(
    family: Family,
    features: Mapping[str, NDArray[np.float32]],
    target: NDArray[np.float64],
    train: NDArray[np.intp],
    asked: NDArray[np.intp],
    seed: int,
) -> NDArray[np.float64]:
    """Fit one family to some rows and predict others."""
    x = features[family.features]
    return family.fit(x[train], target[train], seed).predict(x[asked])
