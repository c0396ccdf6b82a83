"""ImageNet accuracy of networks of inverted residual blocks, from their layers and the training recipe.

What is learned is the logarithm of what the accuracy lacks to a ceiling, as a linear function of a few sums over the
layer table, the same for every space; the recipe decides its level, and how far the data of that recipe bend it.
Training and held-out errors are in docs/imagenet-accuracy.md.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from hwnasbench.errors import CorruptFile, InvalidRequest, UnknownName
from hwnasbench.networks.layers import Activation, Op
from hwnasbench.predictors.base import Prediction, Quantiles
from hwnasbench.predictors.words import SPACES

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from hwnasbench.spaces.chain import LayerwiseSpace

    Floats = NDArray[np.float64]

#: Every feature that a model may use, in this order.
FEATURES = (
    *(f"log_macs_{stride}" for stride in (2, 4, 8, 16, 32)),
    "wide_kernels",
    "gates",
    "log_expansion",
    "log_params",
    "smooth",
    "log_bottleneck",
)
#: The recipe of a request that names none.
STANDARD = "standard"
#: What an image of 32 pixels counts as: the sizes of its feature maps are those of one of 128 from stride 4 on.
SMALL = {32: 128}
FORMAT = "hwnasbench-imagenet-1"

_STRIDES = 5
#: Sums that features are made of.
TERMS = 12
#: Multiply-accumulates of a stride that holds next to nothing; per stride and parameters of a usual network.
_FLOOR, _USUAL_MACS, _USUAL_PARAMS = 1e6, 3e7, 4e6
_CHUNK = 8192
_PATH = Path(__file__).parents[1] / "data" / "models" / "imagenet_accuracy.npz"
_ARRAYS = {
    "format": 0,
    "ceiling": 0,
    "features": 1,
    "scale": 1,
    "recipes": 1,
    "homes": 1,
    "coefficients": 2,
    "covariances": 3,
    "noise": 2,
    "reach": 2,
    "small": 1,
    "spread": 0,
    "levels": 1,
    "quantiles": 1,
}


def layer_terms(layers: NDArray[np.void], resolution: int) -> Floats:
    """Return what each layer adds to the sums that features are made of, (n, 12).

    Parameters
    ----------
    layers : (n,) ndarray of LAYER
    resolution : int
        Height of the network's input, or what it counts as (`SMALL`): layers belong to the stride by which
        their output is smaller.
    """
    conv = layers["op"] == Op.CONV
    wide, kernel, activation = layers["in_channels"], layers["kernel"], layers["activation"]
    depthwise = conv & (layers["groups"] == wide) & (wide > 1) & (kernel > 1)
    projects = conv & (kernel == 1) & (activation == Activation.NONE) & (layers["batch_norm"] == 1)
    smooth = depthwise & ((activation == Activation.HSWISH) | (activation == Activation.SWISH))
    height = np.maximum(layers["out_height"], 1)
    stage = np.round(np.log2(resolution / height))
    stage[layers["out_height"] == 1] = 0  # after the pooling, and gates
    terms = np.empty((len(layers), TERMS))
    for number in range(_STRIDES):
        terms[:, number] = np.where(stage == number + 1, layers["macs"], 0)
    terms[:, 5] = depthwise
    terms[:, 6] = depthwise & (kernel > 3)
    terms[:, 7] = layers["op"] == Op.MUL
    terms[:, 8] = np.where(depthwise, np.log2(np.maximum(wide, 1)), 0)
    terms[:, 9] = np.where(projects, np.log2(np.maximum(layers["out_channels"], 1)), 0)
    terms[:, 10] = layers["params"]
    terms[:, 11] = smooth
    return terms


def features_of(sums: Floats) -> Floats:
    """Turn sums over networks' layers into `FEATURES`, (n, features).

    Multiply-accumulates of each stride, as logarithms; the shares of blocks whose kernel is above 3 x 3, that have
    squeeze-and-excitation, and whose activation is smooth; the mean logarithm of the expansion and of the
    channels between blocks; and the parameters.
    """
    blocks = np.maximum(sums[:, 5], 1)
    out = np.empty((len(sums), len(FEATURES)))
    out[:, :_STRIDES] = np.log(np.maximum(sums[:, :_STRIDES], _FLOOR) / _USUAL_MACS)
    out[:, 5] = sums[:, 6] / blocks
    out[:, 6] = sums[:, 7] / blocks
    out[:, 7] = (sums[:, 8] - sums[:, 9]) / blocks
    out[:, 8] = np.log(sums[:, 10] / _USUAL_PARAMS)
    out[:, 9] = sums[:, 11] / blocks
    out[:, 10] = sums[:, 9] / blocks
    return out


def without_blocks(features: Floats) -> Floats:
    """Return features of which only the strides' multiply-accumulates are left: what carries over to small images."""
    out = np.zeros_like(features)
    out[:, :_STRIDES] = features[:, :_STRIDES]
    return out


class NetworkSums:
    """Sums over the layers of networks of one layer-wise space, from tables that networks fill as they come.

    Parameters
    ----------
    space : Space
    dataset : str
    """

    def __init__(self, space: LayerwiseSpace, dataset: str) -> None:
        self._space, self._dataset = space, dataset
        self._sizes = np.zeros(0, np.int64)  # codes of each slot that there is room for
        self._starts = np.zeros(0, np.int64)
        self._table = np.empty((0, TERMS))  # slot after slot, the sums of code - 1
        self._seen = np.zeros(0, bool)

    def __call__(self, vectors: NDArray[np.int8]) -> Floats:
        """Return the sums of many networks, (n, 12)."""
        codes = self._space.slot_codes(vectors, self._dataset) + 1
        self._reserve(codes)
        rows = codes + self._starts
        if not self._seen[rows].all():
            self._learn(vectors, codes)
        out = np.empty((len(rows), TERMS))
        for first in range(0, len(rows), _CHUNK):
            part = rows[first : first + _CHUNK]
            if len(part) == 1:
                out[first] = self._table[part[0]].sum(axis=0)  # the same order, in one call
                continue
            total = self._table.take(part[:, 0], axis=0)
            for slot in range(1, part.shape[1]):
                total += self._table.take(part[:, slot], axis=0)
            out[first : first + _CHUNK] = total
        return out

    def _reserve(self, codes: NDArray[np.int64]) -> None:
        """Make room for every code."""
        needed = codes.max(axis=0, initial=0) + 1
        if len(self._sizes) and (needed <= self._sizes).all():
            return
        sizes = np.maximum(needed, self._sizes) if len(self._sizes) else needed
        starts = np.cumsum(sizes) - sizes
        table, seen = np.zeros((int(sizes.sum()), TERMS)), np.zeros(int(sizes.sum()), bool)
        for old, new, size in zip(self._starts.tolist(), starts.tolist(), self._sizes.tolist(), strict=False):
            table[new : new + size] = self._table[old : old + size]
            seen[new : new + size] = self._seen[old : old + size]
        self._sizes, self._starts, self._table, self._seen = sizes, starts, table, seen

    def _learn(self, vectors: NDArray[np.int8], codes: NDArray[np.int64]) -> None:
        """Lay out networks until every fragment has been seen."""
        for slot, start in enumerate(self._starts.tolist()):
            unseen = np.flatnonzero(~self._seen[start + codes[:, slot]])
            for row in unseen[np.unique(codes[unseen, slot], return_index=True)[1]].tolist():
                if not self._seen[start + codes[row, slot]]:
                    self._harvest(vectors[row : row + 1], codes[row])

    def _harvest(self, vector: NDArray[np.int8], codes: NDArray[np.int64]) -> None:
        """Learn every fragment of one network."""
        composition = self._space.compose(vector, self._dataset)
        pool, starts, fragments = composition.pool, composition.starts, composition.codes[0]
        resolution = int(pool["in_height"][starts[fragments[0]]])
        terms = layer_terms(pool, SMALL.get(resolution, resolution))
        for row, fragment in zip((codes + self._starts).tolist(), fragments.tolist(), strict=True):
            self._table[row] = terms[starts[fragment] : starts[fragment + 1]].sum(axis=0)
            self._seen[row] = True


class ImageNetAccuracy:
    """A fitted model.

    Attributes
    ----------
    recipes : tuple of str
        The training recipes that it knows.
    features : tuple of str
        Those of `FEATURES` that it uses.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self.recipes: tuple[str, ...] = tuple(arrays["recipes"].tolist())
        self.features: tuple[str, ...] = tuple(arrays["features"].tolist())
        self._used = [FEATURES.index(name) for name in self.features]
        self._arrays = arrays
        self._spread = float(arrays["spread"])
        self._sums: dict[tuple[str, str], NetworkSums] = {}

    def answers(self, space: str, dataset: str) -> bool:
        """Say whether the model speaks of networks of `space` trained on `dataset`."""
        return dataset in SPACES.get(space, ())

    def predict(
        self, space: str, vectors: NDArray[np.int8], dataset: str = "imagenet", recipe: str | None = None
    ) -> Prediction:
        """Predict the top-1 accuracy in % of many architectures.

        Parameters
        ----------
        space : str
        vectors : (n, positions) ndarray of int8
            Decision vectors.
        dataset : {"imagenet", "cifar100"}
            CIFAR-100 is a transfer: every one of its predictions is extrapolated.
        recipe : str, optional
            One of `recipes`; ``standard`` by default.

        Returns
        -------
        Prediction

        Raises
        ------
        InvalidRequest
            When the model does not speak of that space and data set, or of the recipe on it.
        UnknownName
            When the recipe is unknown.
        """
        from hwnasbench import spaces

        chosen = STANDARD if recipe is None else recipe
        if chosen not in self.recipes:
            raise UnknownName("recipe", recipe, self.recipes)
        if not self.answers(space, dataset):
            raise InvalidRequest(f"no accuracy of {space!r} on {dataset!r}; known: {', '.join(sorted(SPACES))}")
        known = spaces.get(space)
        if (space, dataset) not in self._sums:
            self._sums[space, dataset] = NetworkSums(cast("LayerwiseSpace", known), dataset)
        features = features_of(self._sums[space, dataset](known.vectors(vectors)))
        if dataset != "imagenet":
            if chosen != STANDARD:
                raise InvalidRequest(f"recipe {chosen!r} on {dataset!r}: only {STANDARD!r} is known there")
            return self._transferred(features)
        return self.predict_features(features, chosen, at_home=space == self._home(chosen))

    def predict_features(self, features: Floats, recipe: str = STANDARD, at_home: bool = False) -> Prediction:
        """Predict from `FEATURES`; `at_home` where the recipe's own rows are of the networks' space."""
        score, variance = self._score(features, recipe)
        noise = self._arrays["noise"][self.recipes.index(recipe)]
        errors = np.exp(-score)
        values = float(self._arrays["ceiling"]) - errors
        # Where the slopes are less sure than networks of one kind differ, nothing like it was seen.
        low, high = self._arrays["reach"][self.recipes.index(recipe)].tolist()
        far = (variance > noise[0]) | (values < low) | (values > high)
        std = np.sqrt(variance + noise[1 if at_home else 0]) * errors * self._spread
        return Prediction(values, std, far)

    def quantiles(self) -> Quantiles:
        """Return the quantiles of the residuals of families of networks that were left out, over their std."""
        return Quantiles(self._arrays["levels"].tolist(), [], [self._arrays["quantiles"].tolist()])

    def _home(self, recipe: str) -> str:
        return str(self._arrays["homes"][self.recipes.index(recipe)])

    def _score(self, features: Floats, recipe: str) -> tuple[Floats, Floats]:
        """Return minus the logarithm of what is missing to the ceiling, and its variance by the slopes alone."""
        number = self.recipes.index(recipe)
        weights, covariance = self._arrays["coefficients"][number], self._arrays["covariances"][number].ravel()
        score, variance = np.empty(len(features)), np.empty(len(features))
        for first in range(0, len(features), _CHUNK):
            part = features[first : first + _CHUNK]
            # NumPy adds up the row of a single network in another order than those of many: there are always two.
            used = (part if len(part) > 1 else np.repeat(part, 2, axis=0))[:, self._used] / self._arrays["scale"]
            design = np.concatenate([np.ones((len(used), 1)), used], axis=1)
            pairs = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
            last = first + len(part)
            score[first:last] = (design * weights).sum(axis=1)[: len(part)]
            variance[first:last] = (pairs * covariance).sum(axis=1)[: len(part)]
        return score, np.maximum(variance, 0)

    def _transferred(self, features: Floats) -> Prediction:
        """Predict CIFAR-100: what the strides' multiply-accumulates say, on the line between the data sets."""
        intercept, slope, noise = self._arrays["small"].tolist()
        score, variance = self._score(without_blocks(features), STANDARD)
        errors = np.exp(-(intercept + slope * score))
        std = np.sqrt(slope**2 * variance + noise) * errors
        return Prediction(100 - errors, std, np.ones(len(features), bool))


def open_model(path: str | os.PathLike[str] | None = None) -> ImageNetAccuracy:
    """Read the shipped model, or the one at `path`.

    Raises
    ------
    CorruptFile
        When the file is absent, truncated, or another model's.
    """
    chosen = os.fspath(path or _PATH)
    try:
        # NumPy leaves a file open that it cannot read.
        with Path(chosen).open("rb") as handle, np.load(handle, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in _ARRAYS}
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise CorruptFile(f"{chosen} is no model of ImageNet accuracy: {error}") from error
    fault = _fault(arrays)
    if fault:
        raise CorruptFile(f"{chosen} is no model of ImageNet accuracy: {fault}")
    return ImageNetAccuracy(arrays)


def _fault(arrays: dict[str, NDArray[Any]]) -> str:
    """Say what is wrong with the arrays of a model file; nothing is an empty string."""
    for name, dimensions in _ARRAYS.items():
        if arrays[name].ndim != dimensions:
            return f"{name} has {arrays[name].ndim} dimensions; expected {dimensions}"
    if str(arrays["format"]) != FORMAT:
        return f"format {str(arrays['format'])!r}; expected {FORMAT!r}"
    texts = ("format", "features", "recipes", "homes")
    if any(arrays[name].dtype.kind != "U" for name in texts) or set(arrays["features"].tolist()) - set(FEATURES):
        return "unknown features"
    n, size = len(arrays["recipes"]), len(arrays["features"]) + 1
    shapes = {"scale": (size - 1,), "homes": (n,), "coefficients": (n, size), "covariances": (n, size, size)}
    shapes |= {"noise": (n, 2), "reach": (n, 2), "small": (3,), "quantiles": arrays["levels"].shape}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            return f"{name} has shape {arrays[name].shape}; expected {shape}"
    for name in set(_ARRAYS) - set(texts):
        if arrays[name].dtype.kind != "f" or not np.isfinite(arrays[name]).all():
            return f"{name} holds what is no finite number"
    return ""
