"""Settings of objectives, checked, and the arithmetic that they share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.errors import InvalidRequest
from hwnasbench.search.objectives.base import reference, upward

if TYPE_CHECKING:
    from hwnasbench.search.objectives.base import Floats


def number(where: str, name: str, value: object) -> float:
    """Return a finite number.

    Raises
    ------
    InvalidRequest
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidRequest(f"{where}: {name}={value!r}; expected a number")
    return float(value)


def positive(where: str, name: str, value: object) -> float:
    """Return a number above 0.

    Raises
    ------
    InvalidRequest
    """
    found = number(where, name, value)
    if found <= 0:
        raise InvalidRequest(f"{where}: {name}={value!r}; expected a number above 0")
    return found


def share(where: str, name: str, value: object) -> float:
    """Return a number from 0 to 1.

    Raises
    ------
    InvalidRequest
    """
    found = number(where, name, value)
    if not 0 <= found <= 1:
        raise InvalidRequest(f"{where}: {name}={value!r}; expected a number from 0 to 1")
    return found


def cost(where: str, name: str, metric: object) -> str:
    """Return the name of a metric of which less is better.

    Raises
    ------
    UnknownName
        When there is no such metric.
    InvalidRequest
        When more of it is better: the formula would have it the wrong way round.
    """
    found = str(reference(str(metric)))
    if upward(found):
        raise InvalidRequest(f"{where}: {name}={metric!r}, and more of it is better; expected a cost, such as latency")
    return found


def exponent(where: str, name: str, value: object) -> float:
    """Return a number of at most 0, which as an exponent makes a cost lower a score.

    Raises
    ------
    InvalidRequest
    """
    found = number(where, name, value)
    if found > 0:
        raise InvalidRequest(f"{where}: {name}={value!r} would reward a larger cost; expected a number of at most 0")
    return found


def power(ratio: Floats, exponents: Floats | float) -> Floats:
    """Return ratios to a power of at most 0; NaN where a ratio that is not above 0 has none."""
    known = np.where((ratio > 0) | (np.asarray(exponents) == 0), ratio, np.nan)
    return np.asarray(known**exponents)
