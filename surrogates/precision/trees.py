"""Small gradient-boosted trees: trained by XGBoost, shipped as arrays of complete binary trees."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from surrogates.folds import SEED

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEPTH, ROUNDS = 4, 200
_SETTINGS = {"eta": 0.05, "subsample": 0.8, "nthread": 1, "seed": SEED, "base_score": 0.0, "tree_method": "hist"}


def train(x: NDArray[Any], y: NDArray[np.float64], depth: int = DEPTH, monotone: int = 0) -> Any:
    """Train trees on the deviation from the mean of `y`; the last `monotone` features can only raise it."""
    import xgboost

    settings: dict[str, Any] = {**_SETTINGS, "max_depth": depth}
    if monotone:
        settings["monotone_constraints"] = str(tuple([0] * (x.shape[1] - monotone) + [1] * monotone))
        settings["min_child_weight"] = 5
    return xgboost.train(settings, xgboost.DMatrix(x, y - y.mean()), ROUNDS)


def predict(booster: Any, x: NDArray[Any]) -> NDArray[np.float64]:
    """Return the deviations from the mean that `train` learned."""
    import xgboost

    return np.asarray(booster.predict(xgboost.DMatrix(x)), np.float64)


def arrays(booster: Any, depth: int = DEPTH) -> dict[str, NDArray[Any]]:
    """Return feature and threshold of each inner node and the value of each leaf, one row a tree.

    Node ``k`` goes on to ``2k + 1`` below the threshold, else to ``2k + 2``. Where a tree ends early, all leaves
    below have its value.
    """
    trees = [json.loads(text) for text in booster.get_dump(dump_format="json")]
    inner = 2**depth - 1
    out = {
        "tree_feature": np.zeros((len(trees), inner), np.int16),
        "tree_threshold": np.zeros((len(trees), inner), np.float32),
        "tree_leaf": np.zeros((len(trees), inner + 1), np.float32),
    }
    for row, tree in enumerate(trees):
        _fill(out, row, 0, tree, inner)
    return out


def _fill(out: dict[str, NDArray[Any]], row: int, place: int, node: dict[str, Any], inner: int) -> None:
    if place >= inner:
        out["tree_leaf"][row, place - inner] = node["leaf"]
        return
    below = above = node
    if "leaf" not in node:
        children = {child["nodeid"]: child for child in node["children"]}
        below, above = children[node["yes"]], children[node["no"]]
        out["tree_feature"][row, place] = int(node["split"][1:])
        out["tree_threshold"][row, place] = node["split_condition"]
    _fill(out, row, 2 * place + 1, below, inner)
    _fill(out, row, 2 * place + 2, above, inner)
