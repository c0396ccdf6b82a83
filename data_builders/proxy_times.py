"""The processor time of scoring a network, where several processors shared an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwnasbench.networks.layers import Op

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from hwnasbench.spaces import Space


class Times(NamedTuple):
    """Times as on one processor.

    Attributes
    ----------
    seconds : (rows,) ndarray
    measured : (rows,) ndarray of bool
        Which rows that processor made itself.
    ratios : dict
        By how much the times of each processor were divided; 1 for the one that is kept.
    errors : dict
        Root mean square of the relative differences of each processor's times from their fit.
    """

    seconds: NDArray[np.float64]
    measured: NDArray[np.bool_]
    ratios: dict[str, float]
    errors: dict[str, float]


def on_one_processor(space: Space, scores: pd.DataFrame) -> Times:
    """Return the seconds of every row as if one processor had made all.

    The times of each processor, data set by data set, are fitted to what the networks consist of, by least squares of
    the relative differences. The processor whose times lie closest to their fit is kept. Those of another are divided
    by the median ratio of its fit to the kept one's, over all rows.

    Parameters
    ----------
    space : Space
        Enumerable.
    scores : pandas.DataFrame
        With ``arch_index``, ``dataset``, ``machine`` and ``seconds``.
    """
    seconds, machines = scores["seconds"].to_numpy(float), scores["machine"].to_numpy(str)
    names = sorted(set(machines.tolist()))
    if len(names) == 1:
        return Times(seconds, np.ones(len(seconds), bool), {names[0]: 1.0}, {})
    fitted = {name: np.empty(len(seconds)) for name in names}
    for dataset in scores["dataset"].unique():
        rows = (scores["dataset"] == dataset).to_numpy()
        content = _content(space, scores["arch_index"].to_numpy()[rows], str(dataset))
        for name in names:
            fitted[name][rows] = _fit(content, seconds[rows], machines[rows] == name)
    errors = {}
    for name in names:
        own = machines == name
        errors[name] = float(np.sqrt(np.mean((seconds[own] / fitted[name][own] - 1) ** 2)))
    kept = min(names, key=errors.__getitem__)
    ratios = {name: float(np.median(fitted[name] / fitted[kept])) for name in names}
    return Times(seconds / np.array([ratios[name] for name in machines]), machines == kept, ratios, errors)


def _content(space: Space, indices: NDArray[np.int64], dataset: str) -> NDArray[np.float64]:
    """Return one row a network: 1, its layers of each kind, its MACs and activations."""
    distinct, at = np.unique(indices, return_inverse=True)
    rows = []
    for index in distinct:
        network = space.network(space.from_index(int(index)), dataset).live()
        kinds = np.bincount(network.layers["op"], minlength=len(Op))
        rows.append([1, *kinds, network.macs, network.activations])
    found = np.array(rows, float)
    scaled: NDArray[np.float64] = found / np.maximum(found.max(axis=0), 1)
    return scaled[at]


def _fit(content: NDArray[np.float64], seconds: NDArray[np.float64], own: NDArray[np.bool_]) -> NDArray[np.float64]:
    weight = 1 / seconds[own, None]
    solved = np.linalg.lstsq(content[own] * weight, np.ones(int(own.sum())), rcond=None)[0]
    told: NDArray[np.float64] = content @ solved
    return told
