"""The five folds that everything shipped and every scorecard uses.

Architectures of one class (equal function) are always in the same fold, so that no model is
judged on a cell whose twin it has seen. The folds depend on the classes and a fixed seed alone.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


#: Seed of the folds and of every model.
SEED = 20201
#: Number of folds.
FOLDS = 5


def assign(classes: Sequence[str], folds: int = FOLDS, seed: int = SEED) -> NDArray[np.int8]:
    """Give every row a fold, the same one to all rows of a class.

    Classes are shuffled with `seed`, then dealt out from the largest to the smallest, each to the
    fold with the fewest rows so far, so that the folds have nearly equal numbers of rows.

    Parameters
    ----------
    classes : sequence of str
        The class of each row.
    folds : int
    seed : int

    Returns
    -------
    (n,) ndarray of int8
        Fold of each row, from 0 to ``folds - 1``.
    """
    names, codes, sizes = np.unique(np.asarray(classes, np.str_), return_inverse=True, return_counts=True)
    shuffled = np.random.Generator(np.random.PCG64(seed)).permutation(len(names))
    fold_of_class = np.empty(len(names), np.int8)
    rows = [0] * folds
    for number in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold = rows.index(min(rows))
        fold_of_class[number] = fold
        rows[fold] += int(sizes[number])
    return fold_of_class[codes]


def arch_folds(archs: Iterable[str]) -> NDArray[np.int8]:
    """Return the fold of each listed architecture of a space that is not enumerable, by its string."""
    return assign(list(archs))


def fold_hash(folds: NDArray[np.int8]) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the folds, one byte a row."""
    return hashlib.sha256(np.ascontiguousarray(folds, np.int8).tobytes()).hexdigest()[:16]
