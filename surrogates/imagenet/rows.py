"""The large published tables behind the model, as features and accuracies."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from data_builders import catalog
from hwnasbench import spaces
from hwnasbench.predictors.imagenet import SMALL, NetworkSums, features_of, layer_terms
from hwnasbench.spaces.ofa_mobilenetv3 import BLOCKS, RESOLUTIONS, OFAMobileNetV3

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from hwnasbench.networks.layers import Network
    from hwnasbench.spaces.chain import LayerwiseSpace
    from hwnasbench.tables.write import ColumnData

    Floats = NDArray[np.float64]

#: The recipe that each table's rows were trained by, and the space of its networks.
TABLES = {"accelnasbench": ("accelnasbench_proxy", "mnasnet"), "dynast": ("ofa_supernet", "ofa_mobilenetv3")}
#: Networks asked of OFA's own predictor, and the resolutions at which it can be believed: at 128 and 144 it says
#: that accuracy is higher than at 160, so it learned nothing of those.
_ASKED, _SEED = 2000, 0
_RESOLUTIONS = tuple(range(160, 225, 16))


class Rows(NamedTuple):
    """Networks of one table.

    Attributes
    ----------
    features : (n, features) ndarray of float64
    top1 : (n,) ndarray of float64
        In %.
    """

    features: Floats
    top1: Floats


def score(top1: Floats, ceiling: float = 100.0) -> Floats:
    """Return minus the logarithm of what is missing to `ceiling` %: what the model is linear in."""
    return -np.log(ceiling - top1)


def of_networks(networks: list[Network]) -> Floats:
    """Return the features of networks, spaces' or not."""
    sums = [
        layer_terms(network.layers, SMALL.get(network.input_shape[1], network.input_shape[1])).sum(axis=0)
        for network in networks
    ]
    return features_of(np.array(sums))


def of_vectors(space: str, vectors: NDArray[np.int8], dataset: str) -> Floats:
    """Return the features of networks of a layer-wise space."""
    known = cast("LayerwiseSpace", spaces.get(space))
    return features_of(NetworkSums(known, dataset)(vectors))


def accuracies(source: str, sources: Path) -> ColumnData:
    """Return the accuracy column of a table; rows that are copies of others are told by its flags."""
    record = catalog.get(source)
    columns = catalog.importer(record).columns(catalog.Folder(record, sources / source))
    return next(column for column in columns if column.metric == "accuracy")


def read(source: str, sources: Path) -> Rows:
    """Return the networks of a table that have an accuracy of their own."""
    column = accuracies(source, sources)
    space = spaces.get(column.space)
    flags = column.flags if isinstance(column.flags, (list, tuple)) else [None] * len(column.archs)
    own = np.array([flag is None for flag in flags]) & np.isfinite(column.values) & (column.values > 0)
    vectors = space.vectors([arch for arch, kept in zip(column.archs, own, strict=True) if kept])
    dataset = str(column.keys["dataset"])
    return Rows(of_vectors(column.space, vectors, dataset), column.values[own])


def supernet(sources: Path) -> tuple[Rows, dict[str, float]]:
    """Return dynast's networks with as many that OFA's own predictor speaks of, at five resolutions.

    The predictor is calibrated on dynast's measured ones: a line between the logarithms of the errors.

    Returns
    -------
    Rows
    dict
        ``intercept`` and ``slope`` of the calibration, and ``kendall`` of the predictor against dynast.
    """
    from scipy.stats import kendalltau

    column = accuracies("dynast", sources)
    space = spaces.get("ofa_mobilenetv3")
    measured = space.vectors(list(column.archs))
    network = _weights(sources)
    told = _ask(network, measured)
    true = score(column.values)
    slope, intercept = np.polyfit(score(told), true, 1)
    rng = np.random.default_rng(_SEED)
    asked = space.sample_many(rng, _ASKED)
    known = [RESOLUTIONS.index(resolution) for resolution in _RESOLUTIONS]
    asked[:, -1] = rng.choice(known, len(asked))
    guessed = 100 - np.exp(-(intercept + slope * score(_ask(network, asked))))
    vectors = np.concatenate([measured, asked])
    rows = Rows(of_vectors("ofa_mobilenetv3", vectors, "imagenet"), np.concatenate([column.values, guessed]))
    kendall = float(kendalltau(told, column.values).statistic)
    return rows, {"intercept": float(intercept), "slope": float(slope), "kendall": kendall}


def _weights(sources: Path) -> list[tuple[Floats, Floats]]:
    import torch

    path = sources / "ofa_predictor/tutorial/checkpoints/acc_predictor.pth"
    found = torch.load(path, map_location="cpu", weights_only=True)
    return [(found[f"{n}.weight"].double().numpy(), found[f"{n}.bias"].double().numpy()) for n in (0, 2, 4, 6)]


def _ask(network: list[tuple[Floats, Floats]], vectors: NDArray[np.int8]) -> Floats:
    """Evaluate OFA's predictor: kernels, expansions (nothing beyond the depth) and resolution, each one-hot."""
    space = cast("OFAMobileNetV3", spaces.get("ofa_mobilenetv3"))
    active = space.active(vectors)[:, :BLOCKS]
    hot = np.zeros((len(vectors), 2 * BLOCKS * 3 + 8))
    for part in range(2):
        chosen = vectors[:, part * BLOCKS : (part + 1) * BLOCKS]
        blocks = (chosen[:, :, None] == np.arange(3)) & active[:, :, None]
        hot[:, part * BLOCKS * 3 : (part + 1) * BLOCKS * 3] = blocks.reshape(len(vectors), -1)
    resolution = (np.array(RESOLUTIONS)[vectors[:, -1]] - 112) // 16
    hot[np.arange(len(vectors)), 2 * BLOCKS * 3 + resolution] = 1
    x = hot
    for number, (weight, bias) in enumerate(network):
        x = x @ weight.T + bias
        if number < len(network) - 1:
            x = np.maximum(x, 0)
    return 100 * x[:, 0]
