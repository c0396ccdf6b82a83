"""Settings of objectives: numbers that are checked."""

from __future__ import annotations

import math

from hwnasbench.errors import InvalidRequest


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
