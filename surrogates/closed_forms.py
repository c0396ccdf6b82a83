"""Exact forms: columns that are a sum over the operators of a cell, recovered from the values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.spaces.nasbench201 import OPERATORS
from surrogates.features import operator_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from surrogates.columns import Column

#: Largest relative residual of a form that is called exact.
EXACT = 1e-9


def recover(values: NDArray[np.float64], own: NDArray[np.bool_], vectors: NDArray[np.int8]) -> dict[str, Any] | None:
    """Recover ``value = intercept + sum over the edges of the operator's cost``, if it is exact.

    Every edge counts, dead ones too. ``none`` has no cost of its own: the six edges of a cell make
    the five counts add up to six, so that its cost is part of the intercept.

    Parameters
    ----------
    values : (n,) ndarray of float64
    own : (n,) ndarray of bool
        The rows to fit.
    vectors : (n, 6) ndarray of int8

    Returns
    -------
    dict or None
        intercept, coefficients by operator, and the largest relative residual; None where the
        column is no such sum.
    """
    design = _design(vectors)
    weights, *_ = np.linalg.lstsq(design[own], values[own], rcond=None)
    short = np.round(weights, 10) + 0.0
    form = {
        "intercept": float(short[0]),
        "coefficients": dict(zip(OPERATORS, [0.0, *map(float, short[1:])], strict=True)),
    }
    residual = float(np.max(np.abs(evaluate(form, vectors)[own] / values[own] - 1)))
    return {**form, "largest_relative_residual": residual} if residual < EXACT else None


def evaluate(form: dict[str, Any], vectors: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the value of a closed form for each cell."""
    weights = np.array([form["intercept"], *(form["coefficients"][name] for name in OPERATORS[1:])])
    return np.asarray(_design(vectors) @ weights, np.float64)


def record(column: Column, form: dict[str, Any]) -> dict[str, Any]:
    """Return what is written to ``closed_forms.json`` for one column."""
    return {
        "space": column.space,
        "metric": column.metric,
        "source": column.source,
        "keys": column.keys,
        "form": "intercept + sum over all six edges of the coefficient of the edge's operator",
        "evidence": "fitted",
        "rows": int(column.own.sum()),
        **form,
    }


def _design(vectors: NDArray[np.int8]) -> NDArray[np.float64]:
    counts = operator_counts(vectors)[:, 1:].astype(np.float64)
    return np.concatenate([np.ones((len(vectors), 1)), counts], axis=1)
