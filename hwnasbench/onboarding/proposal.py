"""Which architectures to measure first on a new device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench import spaces
from hwnasbench.errors import InvalidRequest, UnknownName
from hwnasbench.onboarding.known import Features, known

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.spaces import Space

#: Prior of a new device: shares of what known devices vary by, of sites and of counts; noise of a measurement.
_SHARES, _NOISE = (("known", 0.8), ("sites", 0.1), ("counts", 0.1)), 0.05


def propose(space: str | Space, n: int = 10) -> list[str]:
    """Return the architectures to measure first on a new device, the most telling one first.

    Each is the one that, after those before it, leaves the least variance over the whole space, given how
    known devices differ. The first k of n are what ``propose(space, k)`` returns; nothing is random.

    Parameters
    ----------
    space : str or Space
        A space with known devices.
    n : int
        How many, up to 256.

    Raises
    ------
    UnknownName, NoColumn
        When the space is unknown, or no device of it is known.
    InvalidRequest
        When `n` is no integer from 1 to 256.
    """
    if isinstance(n, bool) or not hasattr(n, "__index__") or not 1 <= n <= 256:
        raise InvalidRequest(f"n={n!r}: expected an integer from 1 to 256")
    given = spaces.get(space) if isinstance(space, str) else space
    if not isinstance(given, spaces.Space):
        raise UnknownName("space", space, spaces.names())
    found = known(given, ("latency",))
    chosen = telling(found.features, int(n))
    return [given.format(tuple(int(v) for v in vector)) for vector in found.reference[chosen]]


def telling(features: Features, n: int) -> NDArray[np.intp]:
    """Return the rows that say most of all rows, greedily."""
    parts = [np.ones((len(features.known), 1))]
    for name, share in _SHARES:
        part = getattr(features, name)
        parts.append(part * np.sqrt(share / (part.shape[1] if name == "known" else 1)))
    phi = np.concatenate(parts, axis=1)
    spread = phi.T @ phi / len(phi)
    covariance = np.eye(phi.shape[1])
    chosen: list[int] = []
    for _ in range(n):
        moved = phi @ covariance
        gain = ((moved @ spread) * moved).sum(axis=1) / ((moved * phi).sum(axis=1) + _NOISE)
        gain[chosen] = -1.0
        # Equal networks gain equally but for the last bits: the first of them is taken.
        best = int(np.flatnonzero(gain >= gain.max() * (1 - 1e-9))[0])
        direction = moved[best]
        covariance = covariance - np.outer(direction, direction) / (direction @ phi[best] + _NOISE)
        chosen.append(best)
    return np.array(chosen, np.intp)
