"""Surrogates of FBNet: exact look-up tables where they can be recovered, additive models elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from hwnasbench import spaces
from hwnasbench.errors import CorruptFile
from hwnasbench.tables.schema import LOOKUPS
from hwnasbench.vocabulary import KEYS
from surrogates import additive, folds, scorecard
from surrogates.calibration import Held, constant, judge
from surrogates.curves import learning_curve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hwnasbench.spaces import Space
    from surrogates.additive import Additive
    from surrogates.columns import Column

#: Counted by the library itself, not learned.
COUNTED = ("params", "macs")
EXACT, ADDITIVE = "exact look-up table", "additive"
#: Random networks on which counted tables are checked.
_CHECKED = 2000


def fit(column: Column) -> tuple[pa.Table, dict[str, Any], Held]:
    """Make one shipped column.

    Returns
    -------
    table : pyarrow.Table
        The model, fitted to every row, in the schema of look-ups.
    card : dict
        Its scorecard, from predictions of networks that their model did not see.
    held : Held
        These predictions.
    """
    space = spaces.get(column.space)
    archs = [column.archs[row] for row in np.flatnonzero(column.own)]
    vectors, values, choices = space.vectors(archs), column.values[column.own], max(space.choices)
    fold = folds.arch_folds(archs)
    extra: dict[str, Any] = {}
    model = additive.fit_exact(vectors, values, choices)
    if model is not None:
        family, std = EXACT, 0.0
        held_out = additive.out_of_fold(vectors, values, fold, choices, None)
        largest = additive.largest_relative_error(model(vectors), values)
        extra["largest_relative_error"] = scorecard.rounded(largest)
    else:
        links = ("identity", "exp") if values.min() > 0 else ("identity",)
        tried = {link: additive.out_of_fold(vectors, values, fold, choices, link) for link in links}
        link = choose_link(values, tried)
        family, held_out = ADDITIVE, tried[link]
        model, std = additive.fit_ridge(vectors, values, choices, link), additive.spread(held_out, values, link)
    spread = np.full(len(values), np.float64(np.float32(std)))
    if model.link == "exp":
        spread *= np.abs(held_out)
    everything = np.ones(len(values), bool)
    held = Held(held_out, values, everything, np.arange(len(values)), np.empty((0, 2), np.int64), spread)
    card = {
        **scorecard.describe(column, family),
        "scale": "log(value)" if model.link == "exp" else "value",
        **judge(column, held),
        **extra,
        "noise_ceiling": None,
        "learning_curve": learning_curve(
            _learner(vectors, values, choices, model.link), values, held.classes, column.metric
        ),
        "folds": folds.fold_hash(fold),
        "seed": folds.SEED,
    }
    row: dict[str, Any] = {**column.keys, "space": column.space, "metric": column.metric, "source": column.source}
    row |= {"kind": "predicted", "of": column.of, "flags": column.flags}
    return lookup_table(row, model, std), card, held


def _learner(vectors: NDArray[np.int8], values: NDArray[np.float64], choices: int, link: str) -> Any:
    """Return what learns the additive model from some rows: the table itself once they determine it."""

    def fit_predict(train: NDArray[np.intp], asked: NDArray[np.intp]) -> NDArray[np.float64]:
        exact = additive.fit_exact(vectors[train], values[train], choices) if link == "identity" else None
        determined = exact is not None and len(train) > vectors.shape[1] * choices
        model = exact if determined else additive.fit_ridge(vectors[train], values[train], choices, link)
        assert model is not None
        return model(vectors[asked])

    return fit_predict


def choose_link(values: NDArray[np.float64], held_out: Mapping[str, NDArray[np.float64]]) -> str:
    """Return the link whose held-out predictions rank best (Kendall); identity where both are alike."""
    if "exp" not in held_out:
        return "identity"
    ranks = {link: scorecard.quality(values, predicted)["kendall"] or 0.0 for link, predicted in held_out.items()}
    return "exp" if ranks["exp"] > ranks["identity"] else "identity"


def lookup_table(row: Mapping[str, Any], model: Additive, std: float) -> pa.Table:
    """Lay a model out as rows: the intercept, then one cost a (position, choice).

    Parameters
    ----------
    row : mapping
        The column's keys, space, metric, source, kind, of and flags.
    model : Additive
    std : float
        Spread of the true value; relative to the prediction for the link ``exp``.
    """
    positions, choices = model.costs.shape
    rows = 1 + positions * choices
    given = {
        "value": np.concatenate([[model.intercept], model.costs.ravel()]),
        "std": np.full(rows, np.float64(np.float32(std))),
        "position": np.concatenate([[-1], np.repeat(np.arange(positions), choices)]).astype(np.int32),
        "choice": np.concatenate([[-1], np.tile(np.arange(choices), positions)]).astype(np.int32),
    }
    told = {**row, "link": model.link}
    arrays = []
    for field in LOOKUPS:
        if field.name in given:
            arrays.append(pa.array(given[field.name], field.type))
        else:
            arrays.append(constant(told.get(field.name), field.type, rows))
    return pa.Table.from_arrays(arrays, schema=LOOKUPS)


def counted(space: Space, source: str) -> dict[str, pa.Table]:
    """Return the exact look-up tables of the parameters and multiply-accumulates of every network.

    Parameters
    ----------
    space : Space
    source : str
        The source the columns are filed under.

    Returns
    -------
    dict of str to pyarrow.Table
        By column name.

    Raises
    ------
    CorruptFile
        When a count is not a sum over the positions.
    """
    from hwnasbench.networks.counts import count_many
    from surrogates.columns import column_name

    out = {}
    positions, choices = len(space.choices), max(space.choices)
    single = np.zeros((1 + positions * choices, positions), np.int8)
    for position in range(positions):
        block = slice(1 + position * choices, 1 + (position + 1) * choices)
        single[block, position] = np.arange(choices)
    sample = space.sample_many(np.random.default_rng(folds.SEED), _CHECKED)
    for dataset in space.datasets:
        counts, check = count_many(space, single, dataset), count_many(space, sample, dataset)
        for metric in ("params", "macs"):
            numbers = np.asarray(counts[metric], np.float64)
            costs = (numbers[1:] - numbers[0]).reshape(positions, choices)
            model = additive.Additive(float(numbers[0]), costs, "identity")
            if not np.array_equal(model(sample), check[metric]):
                raise CorruptFile(f"{metric} of {space.name} at {dataset} is no sum over positions; expected one")
            row = {"space": space.name, "metric": metric, "source": source, "dataset": dataset, "kind": "simulated"}
            keys = {key: row.get(key) for key in KEYS}
            out[column_name(space.name, metric, source, keys)] = lookup_table(row, model, 0.0)
    return out
