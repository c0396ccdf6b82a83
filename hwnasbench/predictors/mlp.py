"""Evaluate an additive model whose logarithm a small ensemble of networks corrects.

Positions are read in groups (`hwnasbench.predictors.groups`). Sums over the groups' codes (an additive
estimate, parameters, multiply-accumulates) and a one-hot encoding of the decisions feed hidden layers with
``x * sigmoid(x)``. The first layer is a table with one row a code, so that it costs one look-up a group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.predictors.base import Prediction, Quantiles
from hwnasbench.predictors.groups import Groups, gather

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: How the quantity that is predicted, always positive, becomes the metric's value.
LINKS = ("cost", "rate", "error")
#: Networks evaluated at a time: the working set of one chunk stays in the second-level cache.
_CHUNK = 1024


def to_value(quantity: NDArray[np.float64], link: str) -> NDArray[np.float64]:
    """Return the metric's value: the quantity, its inverse (of a rate), or what it leaves of 100 %."""
    if link == "rate":
        return 1 / quantity
    return 100 - quantity if link == "error" else quantity


def to_quantity(value: NDArray[np.float64], link: str) -> NDArray[np.float64]:
    """Return the inverse of `to_value`; the three links are their own."""
    return to_value(value, link)


class MLPPredictor:
    """A fitted model; see `hwnasbench.predictors.arrays` for its arrays and the meta data."""

    def __init__(self, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        from hwnasbench import spaces

        space = spaces.get(meta["space"])
        self.meta = meta
        self.link: str = meta["link"]
        self._hot, self._wide = (Groups(space.choices, meta[name]) for name in ("groups", "sum_groups"))
        self._same = self._hot.groups == self._wide.groups
        one_hot = self._hot.one_hot(space)
        self._sums = arrays["sums"].astype(np.float64)
        self._ranges = arrays["ranges"].astype(np.float64)
        # What no network of the training has, one position at a time, and how rare the rest is.
        self._rare = one_hot.astype(np.float64) @ arrays["rarity"]
        self._rarest = float(meta["rarest"])
        self._layers = [(arrays[f"weights{i}"], arrays[f"bias{i}"]) for i in range(1, meta["layers"] + 1)]
        if self._layers:
            self._log_centre, self._log_scale = arrays["log_centre"], arrays["log_scale"]
            self._log_weights = arrays["log_weights"]
            self._table = one_hot @ arrays["weights"]
            self._table[: self._hot.starts[1]] += arrays["bias"]
        self._mean, self._scale, self._skip = float(meta["mean"]), float(meta["scale"]), int(meta["skip"])
        self._edges, self._std = arrays["edges"], arrays["std"].astype(np.float64)
        self._quantiles = Quantiles(meta["levels"], self._edges.tolist(), arrays["quantiles"].tolist())

    def quantiles(self) -> Quantiles:
        """Return the quantiles of its normalised held-out residuals."""
        return self._quantiles

    def predict(self, vectors: NDArray[np.int8]) -> Prediction:
        """Predict many architectures by their canonical decision vectors, shape (n, positions)."""
        values, far = np.empty(len(vectors)), np.empty(len(vectors), bool)
        for start in range(0, len(vectors), _CHUNK):
            part = slice(start, start + _CHUNK)
            values[part], far[part] = self._evaluate(vectors[part])
        return Prediction(values, self._std[np.searchsorted(self._edges, values, side="right")], far)

    def _evaluate(self, vectors: NDArray[np.int8]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        codes = self._hot.codes(vectors)
        sums = gather(self._sums, codes if self._same else self._wide.codes(vectors))
        low, high = self._ranges
        far = (sums < low).any(axis=1) | (sums > high).any(axis=1) | (gather(self._rare, codes) > self._rarest)
        # Beyond what was learned from, an additive estimate may even be negative.
        logs = np.log(np.clip(sums, low / 2, high * 2))
        total = self._mean + self._skip * logs[:, 0]
        if self._layers:
            total = total + self._scale * self._network(codes, logs)
        return to_value(np.exp(total), self.link), far

    def _network(self, codes: NDArray[np.intp], logs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of the members' answers, standardised."""
        x = gather(self._table, codes)
        x += ((logs - self._log_centre) / self._log_scale).astype(np.float32) @ self._log_weights
        members = len(self._layers[0][0])
        hidden = x.reshape(len(x), members, -1).transpose(1, 0, 2)
        for weights, bias in self._layers:
            hidden = _swish(hidden) @ weights + bias
        return np.asarray(hidden[:, :, 0].mean(axis=0), np.float64)


def _swish(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``x * sigmoid(x)``; far below zero the exponential is infinite and the answer 0."""
    with np.errstate(over="ignore"):
        y = np.exp(-x)
        y += 1
        return np.divide(x, y, out=y)
