"""Cells that a device's compiler refuses: a status that follows from the architecture.

Where a source says which cells were refused, trees learn it from the architecture, fold by fold
as the values; a shipped row that is predicted to be refused has that status and no value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.vocabulary import STATUSES
from surrogates import folds, scorecard

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Statuses that are facts about an architecture on a device.
FACTS = tuple(STATUSES.index(name) for name in ("does_not_fit", "compile_failed", "unsupported_layer"))
_OK = STATUSES.index("ok")
_PARAMETERS = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_depth": 6,
    "eta": 0.1,
    "max_bin": 16,
    "nthread": 1,
    "seed": folds.SEED,
}
_TREES = 200
#: Fewer refused cells than this say nothing.
_LEAST = 20


def predict(
    status: NDArray[np.int8], connected: NDArray[np.bool_], fold: NDArray[np.int8], x: NDArray[np.float32]
) -> tuple[NDArray[np.int8], dict[str, Any] | None]:
    """Predict out of fold which connected cells are refused.

    Parameters
    ----------
    status : (n,) ndarray of int8
        The published statuses, in index order.
    connected : (n,) ndarray of bool
    fold : (n,) ndarray of int8
    x : (n, features) ndarray of float32
        Features of the architecture.

    Returns
    -------
    status : (n,) ndarray of int8
        ``ok`` or the fact, of every row.
    card : dict or None
        Held-out quality: rows, refused, accuracy, missed (refused but predicted ok), false_alarms;
        None where the source refuses too few cells to learn from.
    """
    out = np.full(len(status), _OK, np.int8)
    facts, counts = np.unique(status[connected & np.isin(status, FACTS)], return_counts=True)
    if not len(facts) or counts.sum() < _LEAST:
        return out, None
    fact = facts[np.argmax(counts)]
    known = connected & ((status == _OK) | (status == fact))
    refused = _out_of_fold(status == fact, known, fold, x)
    out[refused & connected] = fact
    truth, guess = (status == fact)[known], refused[known]
    return out, {
        "status": STATUSES[fact],
        "rows": int(known.sum()),
        "refused": int(truth.sum()),
        "accuracy": scorecard.rounded(float((truth == guess).mean())),
        "missed": int((truth & ~guess).sum()),
        "false_alarms": int((~truth & guess).sum()),
    }


def _out_of_fold(
    truth: NDArray[np.bool_], known: NDArray[np.bool_], fold: NDArray[np.int8], x: NDArray[np.float32]
) -> NDArray[np.bool_]:
    import xgboost as xgb

    out = np.zeros(len(truth), bool)
    for number in range(folds.FOLDS):
        train, held = known & (fold != number), fold == number
        data = xgb.DMatrix(x[train], truth[train].astype(np.float32), nthread=1)
        model = xgb.train(_PARAMETERS, data, _TREES)
        out[held] = model.predict(xgb.DMatrix(x[held], nthread=1)) >= 0.5
    return out
