"""CIFAR-100 accuracy of FBNet, which nobody published: what other networks and other data sets let one guess.

Two lines in the logarithm of the error: from the score on ImageNet to CIFAR-10 by NAS-Bench-Macro, whose networks
are of the same blocks, and from CIFAR-10 to CIFAR-100 by NAS-Bench-201. Of the score only what the multiply-accumulates
of the strides say is used: kernels and expansions order NAS-Bench-Macro otherwise than ImageNet. Neither line was ever
checked on an FBNet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from data_builders import catalog
from hwnasbench.predictors.imagenet import without_blocks
from surrogates.imagenet import rows

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from surrogates.imagenet.model import Fitted

#: Cells of NAS-Bench-201 below this accuracy on CIFAR-10 (in %) have no convolution to speak of.
_LEAST = 85.0
#: Spread of the level between networks and trainings that were never compared, in the logarithm of the error: assumed.
_LEVEL = 0.2


class Transfer(NamedTuple):
    """The two lines as one, and how well each fits.

    Attributes
    ----------
    intercept, slope, noise : float
        Of the score on CIFAR-100 over that on ImageNet; the noise is a variance.
    kendall_macro : float
        Between the ImageNet score and CIFAR-10 accuracy on NAS-Bench-Macro.
    kendall_datasets : float
        Between CIFAR-10 and CIFAR-100 accuracy of the cells of NAS-Bench-201 used.
    networks, cells : int
    """

    intercept: float
    slope: float
    noise: float
    kendall_macro: float
    kendall_datasets: float
    networks: int
    cells: int


def transfer(fitted: Fitted, sources: Path) -> Transfer:
    """Fit both lines."""
    macro = rows.read("nasbench_macro", sources)
    ten, hundred = _nasbench201(sources)
    first = _line(fitted.predict(without_blocks(macro.features), "standard")[0], rows.score(macro.top1))
    second = _line(rows.score(ten), rows.score(hundred))
    return Transfer(
        second.intercept + second.slope * first.intercept,
        second.slope * first.slope,
        second.slope**2 * (first.variance + _LEVEL**2) + second.variance,
        first.kendall,
        second.kendall,
        len(macro.top1),
        len(ten),
    )


class _Line(NamedTuple):
    intercept: float
    slope: float
    variance: float
    kendall: float


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> _Line:
    from scipy.stats import kendalltau

    slope, intercept = np.polyfit(x, y, 1)
    left = y - intercept - slope * x
    return _Line(float(intercept), float(slope), float((left**2).mean()), float(kendalltau(x, y).statistic))


def _nasbench201(sources: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return test accuracies of the same cells after 200 epochs on CIFAR-10 and CIFAR-100."""
    record = catalog.get("robot")
    found = {}
    for column in catalog.importer(record).columns(catalog.Folder(record, sources / "robot")):
        if column.metric == "accuracy" and column.keys.get("epochs") == 200 and column.keys.get("split") == "test":
            found[column.keys["dataset"]] = column.values
    kept = found["cifar10"] >= _LEAST
    return found["cifar10"][kept], found["cifar100"][kept]
