"""The committed scorecard of new devices: what was left out, how it was predicted, how wide intervals are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.paths import shipped_store
from hwnasbench.tables.store import open_store
from surrogates.intervals import CHECKED, LEVELS
from surrogates.scorecard import rounded
from surrogates.transfer.lodo import DRAWS, SEED, SIZES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from surrogates.transfer.lodo import Outcome

    #: Chip to the normalised residuals of its columns.
    Pools = Mapping[str, list[NDArray[np.float64]]]


def scorecard(found: Mapping[str, Outcome]) -> dict[str, Any]:
    """Return the scorecard of every column that was predicted, with the quantiles that intervals are read from."""
    store = open_store(shipped_store())
    spaces = sorted({outcome.card["space"] for outcome in found.values()})
    return {
        "release": store.release,
        "fingerprint": store.fingerprint,
        "draws": DRAWS,
        "seed": SEED,
        "columns": {name: outcome.card for name, outcome in found.items()},
        "levels": list(LEVELS),
        "quantiles": {space: {str(n): _table(_pools(found, space, n)) for n in SIZES} for space in spaces},
        "coverage": {space: {str(n): _coverage(_pools(found, space, n)) for n in SIZES} for space in spaces},
    }


def _pools(found: Mapping[str, Outcome], space: str, size: int) -> Pools:
    out: dict[str, list[NDArray[np.float64]]] = {}
    for outcome in found.values():
        if outcome.card["space"] == space and outcome.residuals[size]:
            out.setdefault(outcome.card["chip"], []).extend(outcome.residuals[size])
    return out


def _table(pools: Pools) -> list[float | None]:
    """Return the quantiles of the residuals, every chip counting the same."""
    values = np.concatenate([np.concatenate(parts) for parts in pools.values()])
    weights = np.concatenate([np.full(n := sum(map(len, parts)), 1 / n) for parts in pools.values()])
    order = np.argsort(values, kind="stable")
    reached = (np.cumsum(weights[order]) - weights[order] / 2) / weights.sum()
    return [rounded(float(v)) for v in np.interp(LEVELS, reached, values[order])]


def _coverage(pools: Pools) -> dict[str, Any]:
    """Return the share of each chip's values inside the intervals that the other chips' residuals give."""
    inside: dict[str, list[float]] = {}
    for chip, parts in pools.items():
        table = _table({other: rest for other, rest in pools.items() if other != chip})
        mine = np.concatenate(parts)
        for level in CHECKED:
            low, high = np.interp([(1 - level) / 2, (1 + level) / 2], LEVELS, np.asarray(table, np.float64))
            inside.setdefault(str(level), []).append(float(((mine >= low) & (mine <= high)).mean()))
    return {
        level: {"mean": rounded(float(np.mean(v))), "lowest": rounded(min(v)), "chips": len(v)}
        for level, v in inside.items()
    }
