"""Scores of how differently a network treats the images of a batch: the correlation of their Jacobians."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.proxies.base import Proxy, passes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.proxies.base import Batch, ProxyNetwork

_SMALL = 1e-5
#: From this many classes on, EPE-NAS compares classes rather than adds them up.
_MANY = 100


def _jacob_cov(network: ProxyNetwork, batch: Batch, _rng: np.random.Generator) -> float:
    """Return ``-sum(log(v + k) + 1 / (v + k))`` over the eigenvalues v of the correlations, k = 1e-5."""
    values = np.linalg.eigvalsh(np.corrcoef(passes(network, batch).jacobian)).clip(0)
    return -float((np.log(values + _SMALL) + 1 / (values + _SMALL)).sum())


def _epe_nas(network: ProxyNetwork, batch: Batch, _rng: np.random.Generator) -> float:
    """Score the correlations within each class.

    A class's score is the sum of ``log(|correlation| + 1e-5)``; up to 100 classes the scores' magnitudes are added,
    above, the magnitudes of their differences, over the number of classes seen. There a class of one image is left
    out, and the others' scores are divided by their images.
    """
    jacobian, labels = passes(network, batch).jacobian, batch.labels.numpy()
    few = network.head.out_features <= _MANY
    scores = np.array([_of_class(jacobian[labels == one], few) for one in np.unique(labels)])
    scores = scores[~np.isnan(scores)]
    if few:
        return float(np.abs(scores).sum())
    return float(np.abs(scores[:, None] - scores).sum() / len(scores)) if len(scores) else 0.0


def _of_class(rows: NDArray[np.float64], few: bool) -> float:
    if len(rows) == 1 and not few:
        return float("nan")
    total = float(np.log(np.abs(np.corrcoef(rows)) + _SMALL).sum())
    return total if few else total / len(rows)


jacob_cov = Proxy(
    "jacob_cov",
    _jacob_cov,
    "Mellor et al., Neural Architecture Search without Training, first version, 2020 (recalled)",
    "NASLib, naslib/predictors/utils/pruners/measures/jacov.py",
)
epe_nas = Proxy(
    "epe_nas",
    _epe_nas,
    "Lopes et al., EPE-NAS: Efficient Performance Estimation Without Training, 2021",
    "NASLib, naslib/predictors/utils/pruners/measures/epe_nas.py",
)
