"""From the times of single blocks to those of networks: their sum, corrected on networks that were timed whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.measure.workloads import parts
from data_builders.rows import lookup_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from hwnasbench.spaces import Architecture
    from hwnasbench.spaces.chain import LayerwiseSpace

_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Correction:
    """``whole = start + block * blocks + factor * sum``, fitted to networks that were timed whole.

    Attributes
    ----------
    start, block : float
        ms, once and for each block: starting an inference is in every block's own time.
    factor : float
    rmse, mape, worst : float
        Of held-out networks, 5 folds: root mean square in ms, mean and largest relative error.
    plain : float
        Mean relative error of the sum without a correction.
    spearman : float
        Rank correlation of the held-out predictions.
    """

    start: float
    block: float
    factor: float
    rmse: float
    mape: float
    worst: float
    plain: float
    spearman: float


def correct(sums: NDArray[np.float64], blocks: NDArray[np.float64], whole: NDArray[np.float64]) -> Correction:
    """Fit the correction by least squares on relative errors.

    Parameters
    ----------
    sums : (n,) ndarray of float64
        Of the blocks of each network, ms.
    blocks : (n,) ndarray of float64
        How many there are.
    whole : (n,) ndarray of float64
        What the networks take, ms.
    """
    features = np.stack([np.ones_like(sums), blocks, sums], axis=1)

    def fit(rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        weight = 1 / whole[rows]
        return np.asarray(np.linalg.lstsq(features[rows] * weight[:, None], np.ones(int(rows.sum())), rcond=None)[0])

    fold = np.arange(len(whole)) % _FOLDS
    held = np.empty(len(whole))
    for number in range(_FOLDS):
        held[fold == number] = features[fold == number] @ fit(fold != number)
    start, block, factor = fit(np.ones(len(whole), bool)).tolist()
    relative = np.abs(held / whole - 1)
    held_ranks, ranks = (np.argsort(np.argsort(values)).astype(np.float64) for values in (held, whole))
    return Correction(
        start,
        block,
        factor,
        rmse=float(np.sqrt(((held - whole) ** 2).mean())),
        mape=float(relative.mean()),
        worst=float(relative.max()),
        plain=float(np.abs(sums / whole - 1).mean()),
        spearman=float(np.corrcoef(held_ranks, ranks)[0, 1]),
    )


def totals(
    space: LayerwiseSpace, archs: Sequence[Architecture], dataset: str, costs: Mapping[str, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum of the blocks' times of each architecture, and how many blocks it has."""
    found = [[costs[part.name] for part in parts(space, arch, dataset)] for arch in archs]
    return np.array([sum(each) for each in found]), np.array([float(len(each)) for each in found])


def lookup(
    space: LayerwiseSpace,
    dataset: str,
    costs: Mapping[str, float],
    correction: Correction,
    record: dict[str, Any],
    trailing: tuple[int, ...] = (),
) -> pa.Table:
    """Return a look-up table of a space whose decisions, but the trailing ones, are each of one block.

    Parameters
    ----------
    space : LayerwiseSpace
    dataset : str
    costs : mapping of str to float
        ms of each block, by its name.
    correction : Correction
    record : dict
        What all rows share.
    trailing : tuple of int
        Decisions at which the blocks were timed; others have no cost.
    """

    def corrected(name: str) -> float:
        return correction.block + correction.factor * costs[name]

    own = len(space.choices) - len(trailing)
    rows: dict[tuple[int, int], float | None] = {}
    fixed: dict[int, float] = {}
    for choice in range(max(space.choices[:own])):
        arch = space.parse([choice % number for number in space.choices[:own]] + list(trailing))
        slots = _slots(space, arch, dataset)
        for position in range(own):
            name = slots[position + 1]
            rows[position, choice % space.choices[position]] = 0.0 if name is None else corrected(name)
        for end in (0, own + 1):
            name = slots[end]
            fixed[end] = 0.0 if name is None else corrected(name)
    for position, kept in enumerate(trailing, own):
        rows |= {(position, choice): 0.0 if choice == kept else None for choice in range(space.choices[position])}
    intercept = correction.start + sum(fixed.values())
    listed = [(position, choice, value) for (position, choice), value in sorted(rows.items())]
    return lookup_table({**record, "std": correction.rmse, "link": "identity"}, [(-1, -1, intercept), *listed])


def _slots(space: LayerwiseSpace, arch: Architecture, dataset: str) -> list[str | None]:
    """Return the name of the block in each slot (stem, decisions, head); None where there is nothing."""
    _, ends = space._lay_out(arch, dataset)
    found = iter(parts(space, arch, dataset))
    return [next(found).name if end > first else None for first, end in zip([0, *ends], ends, strict=False)]
