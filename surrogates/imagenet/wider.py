"""What a model must say without being told any accuracy: a block that is widened makes no network worse.

Full trainings of a few dozen networks leave open what a single block does; without this a model may trade the
expansion of one block against the shape of whole families.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwnasbench import spaces
from surrogates.imagenet import rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from surrogates.imagenet.model import Fitted

#: At most this share of the pairs may say otherwise.
LIMIT = 0.05
_PAIRS, _SEED = 500, 0
#: For each space, what each operator becomes with the next expansion; itself where there is none.
_WIDER = {
    "fbnet": (2, 1, 3, 3, 6, 5, 7, 7, 8),
    "mobilenetv2": (1, 2, 2, 4, 5, 5, 7, 8, 8),
    "proxylessnas": (3, 4, 5, 3, 4, 5, 6),
}


class Pairs(NamedTuple):
    """Features of networks, and of the same with one block widened."""

    narrow: NDArray[np.float64]
    wide: NDArray[np.float64]


@cache
def pairs() -> Pairs:
    """Return pairs of random networks of three spaces at 224 pixels and width 1."""
    narrow, wide = [], []
    for name, operators in _WIDER.items():
        space, rng, wider = spaces.get(name), np.random.default_rng(_SEED), np.array(operators, np.int8)
        vectors = space.sample_many(rng, _PAIRS)
        blocks = vectors.shape[1]
        if name == "mobilenetv2":
            blocks -= 2
            vectors[:, blocks:] = space.vectors(["_".join(["k3e1"] * blocks)])[0, blocks:]
        can = wider[vectors[:, :blocks]] != vectors[:, :blocks]
        vectors, can = vectors[can.any(axis=1)], can[can.any(axis=1)]
        chosen = np.array([rng.choice(np.flatnonzero(row)) for row in can])
        changed, number = vectors.copy(), np.arange(len(vectors))
        changed[number, chosen] = wider[vectors[number, chosen]]
        narrow.append(rows.of_vectors(name, vectors, "imagenet"))
        wide.append(rows.of_vectors(name, changed, "imagenet"))
    return Pairs(np.concatenate(narrow), np.concatenate(wide))


def share_worse(fitted: Fitted, recipe: str = "standard") -> float:
    """Return the share of pairs of which the model says that the wider network is the less accurate."""
    narrow, wide = (fitted.predict(features, recipe)[0] for features in pairs())
    return float((wide < narrow).mean())
