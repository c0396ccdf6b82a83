"""Accuracy lost to low precision, evaluated in NumPy: what `python -m surrogates.precision` fitted.

Every answer is a loss in points of top-1 accuracy against the same network in float32, positive where accuracy
falls: the accuracy at a precision is the one in float32 less the loss. docs/precision.md says what each part was
fitted to and how wrong it is on what it never saw.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hwnasbench.errors import CorruptFile, InvalidRequest, UnknownName
from hwnasbench.predictors import precision_cells as cellwise
from hwnasbench.predictors import precision_errors as errorwise
from hwnasbench.predictors import precision_layers as layerwise
from hwnasbench.predictors.base import Prediction
from hwnasbench.predictors.sums import Part
from hwnasbench.predictors.words import LOSSLESS, METHODS
from hwnasbench.vocabulary import PER_LAYER, precision_bits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from hwnasbench.spaces.base import Space
    from hwnasbench.spaces.mixed import MixedPrecision
    from hwnasbench.spaces.nasbench201 import NasBench201

    Arrays = Mapping[str, NDArray[Any]]

FORMAT = "hwnasbench-precision/2"
#: On analog hardware: trained for it (hwat), or programmed as trained for digital hardware (noisy).
ANALOG = ("hwat", "noisy")
#: Seconds after programming at which the source measured; the first is right after it.
TIMES = (0, 60, 3600, 86400, 2592000)
#: What the analog source's hardware is taken to be; it states neither (recalled: AIHWKIT's defaults).
CROSSBAR, ADC_BITS = 512, 8
#: Bits that the first and the last layer keep at a named precision, as in every published table at hand.
_ENDS = 8
#: Top-1 points between a perfect answer and chance among CIFAR-10's ten classes.
CEILING = 90.0
_TREES = ("tree_feature", "tree_threshold", "tree_leaf")
_KEYS = ("format", "targets", "cells", "cells_edges", "cells_std", *_TREES, "tree_base", "trees_edges", "trees_std", "layers", "layers_millions", *errorwise.KEYS)  # fmt: skip  # noqa: E501


def open_model(path: str | Path | None = None) -> PrecisionModel:
    """Return the model in an .npz file; the shipped one where None, read once.

    Raises
    ------
    CorruptFile
        When the file is damaged or is another's.
    """
    if path is not None:
        return PrecisionModel(_read(Path(path)))
    return _shipped()


@lru_cache(maxsize=1)
def _shipped() -> PrecisionModel:
    return PrecisionModel(_read(Path(__file__).parents[1] / "data" / "models" / "precision.npz"))


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged archive can raise anything
        raise CorruptFile(f"{path} is no whole .npz file: {type(error).__name__}: {error}") from error
    missing = [name for name in _KEYS if name not in arrays]
    if missing or str(arrays["format"]) != FORMAT:
        raise CorruptFile(
            f"{path} is no precision model of format {FORMAT}; missing: {', '.join(missing) or 'nothing'}"
        )
    return arrays


class PrecisionModel:
    """Losses by precision; made by `open_model`.

    Parameters
    ----------
    arrays : mapping
        As the .npz file holds them.
    """

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._targets = [str(name) for name in arrays["targets"]]
        self._errors = errorwise.tables(arrays)
        #: How sensitive layers are to their bits.
        self.sensitivity = layerwise.Sensitivity(*map(float, arrays["layers"]))

    def loss(
        self,
        space: Space,
        vectors: ArrayLike,
        dataset: str | None = None,
        precision: str = PER_LAYER,
        method: str = "ptq",
    ) -> Prediction:
        """Return the loss of any space's architectures: the one entry that a query needs.

        Parameters
        ----------
        space : Space
            Of `hwnasbench.spaces`, or one in mixed precision, whose architectures bring their bits.
        vectors : (n, positions) array of int
        dataset : str, optional
            The space's first where None.
        precision : str
            ``fp32``, ``int8``, ``w4a8``, ...; ``per_layer`` for a space in mixed precision.
        method : {"ptq", "qat"}
            Quantised after training, or trained further with quantisation.

        Raises
        ------
        InvalidRequest
            When ``per_layer`` is asked of a space without bits.
        UnknownName
        """
        chosen = dataset or space.datasets[0]
        vectors = np.atleast_2d(np.asarray(vectors))
        if getattr(space, "per_layer", False):
            mixed = cast("MixedPrecision", space)
            if precision == PER_LAYER:
                return self._mixed(mixed, vectors, chosen, method)
            space, vectors = mixed.base, vectors[:, : len(mixed.base.choices)]
        if precision == PER_LAYER:
            raise InvalidRequest(f"space {space.name!r} has no bits by layer; name a precision such as 'int8'")
        if space.name == "nasbench201":
            found = self.loss_nasbench201(vectors, precision, method=method)
            return found if chosen == "cifar10" else found._replace(extrapolated=np.ones(len(vectors), bool))
        return self.loss_imagenet(space, vectors, precision, dataset=chosen, method=method)

    def errors(self, space: Space, vectors: NDArray[Any], value: float, std: float, method: str) -> list[Part]:
        """Return the errors, one independent of the other, of one architecture's loss.

        `vectors` has one row; `value` and `std` are what `loss` says of it.
        """
        if getattr(space, "base", space).name != "nasbench201":
            return [Part(self._errors["layers"], value, std)]
        at_8, variance = (float(found[0]) for found in self._at(method, np.asarray(vectors[:, :6], np.int8)))
        variance = min(variance, std**2)  # nothing where all bits are 16
        rest = Part(self._errors["trees"], value - at_8, math.sqrt(std**2 - variance))
        return [Part(self._errors[method], at_8, math.sqrt(variance)), rest]

    # -- NAS-Bench-201 ------------------------------------------------------------------------

    def loss_nasbench201(
        self,
        vectors: ArrayLike,
        precision: str = "int8",
        *,
        bits: ArrayLike | None = None,
        method: str = "ptq",
    ) -> Prediction:
        """Return the loss of NAS-Bench-201 cells on CIFAR-10.

        Stem, reductions, classifier and activations have 8 bits. At 8 bits the loss is a shipped prediction of a
        model that did not see the cell's class; below, what lower bits of a cell's weights add is added, which was
        fitted to networks trained further (`method` ``ptq`` is flagged there).

        Parameters
        ----------
        vectors : (n, 6) array of int
        precision : str
            One precision of all convolutions in cells, where `bits` is None.
        bits : (n, 6) or (n, 3, 6) array of int, optional
            Bits of the weights on each edge, the same in each stage or stage by stage; where an edge has no
            convolution they mean nothing.
        method : {"ptq", "qat"}

        Raises
        ------
        InvalidRequest, UnknownName
        """
        _check(method)
        cells = np.atleast_2d(np.asarray(vectors, np.int8))
        doubt = np.zeros(len(cells), bool)
        if bits is None:
            weight, activation = precision_bits(precision)
            if min(weight, activation) >= LOSSLESS:
                return Prediction(np.zeros(len(cells)), np.zeros(len(cells)), doubt)
            # No activations below 8 bits were trained: they are taken to cost what such weights cost.
            doubt |= activation < _ENDS
            by_edge = np.full((len(cells), 3, 6), min(weight, activation), np.int64)
        else:
            by_edge = cellwise.by_stage(bits, len(cells))
        values, variance = self._at(method, cells)
        added, spread, beyond = self._lower(cells, by_edge)
        lowered = (cellwise.live_bits(cells, by_edge) < _ENDS).any((1, 2))
        doubt = doubt | beyond | (lowered & (method == "ptq"))
        return Prediction(values + added, np.sqrt(variance + spread**2), doubt)

    def _at(self, target: str, cells: NDArray[np.int8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Look one shipped prediction up: values and variances."""
        row = self._targets.index(target)
        values = self._arrays["cells"][row, _space().indices(cells)].astype(np.float64) / 100
        std = self._arrays["cells_std"][row][np.searchsorted(self._arrays["cells_edges"][row], values, side="right")]
        # A cell without a path is at chance whatever its precision, and has no loss.
        return values, np.where(cellwise.connected(cells), std, 0.0).astype(np.float64) ** 2

    def _lower(
        self, cells: NDArray[np.int8], bits: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Return what bits below 8 add, its spread, and where the bits are none that anybody trained."""
        levels = cellwise.live_bits(cells, bits)
        rows = np.flatnonzero((levels < _ENDS).any((1, 2)) & cellwise.connected(cells))
        added, spread = np.zeros(len(cells)), np.zeros(len(cells))
        if len(rows):
            found = self.added_nasbench201(cells[rows], bits[rows])
            group = np.searchsorted(self._arrays["trees_edges"], found, side="right")
            added[rows], spread[rows] = found, self._arrays["trees_std"][group]
        trained = np.isin(levels, (2, 4, 8, *range(LOSSLESS, 33)))
        return added, spread, np.logical_not(trained.all(axis=(1, 2)))

    def added_nasbench201(self, cells: NDArray[np.int8], bits: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what weights of fewer than 8 bits add to the loss: the trees alone, never below 0."""
        x = cellwise.features(_space(), cells, bits)
        total = np.full(len(x), float(self._arrays["tree_base"]))
        rows = np.arange(len(x))
        for feature, threshold, leaf in zip(*(self._arrays[name] for name in _TREES), strict=True):
            node = np.zeros(len(x), np.intp)
            for _ in range(int(math.log2(len(leaf)))):
                node = 2 * node + 1 + (x[rows, feature[node]] >= threshold[node])
            total += leaf[node - len(feature)]
        added: NDArray[np.float64] = np.clip(np.sinh(total), 0, CEILING)
        return added

    # -- analog -------------------------------------------------------------------------------

    def analog(
        self,
        vectors: ArrayLike,
        seconds: float = 0,
        crossbar: int = CROSSBAR,
        adc_bits: float = ADC_BITS,
        method: str = "hwat",
    ) -> Prediction:
        """Return the loss of NAS-Bench-201 cells on analog hardware, `seconds` after programming, on CIFAR-10.

        Between the published times it is interpolated in the logarithm of time. The source states neither the size
        of its crossbars nor the bits of its converters: any other than those taken for its own are extrapolated
        from how much noise converters add (`_converters`), and flagged.

        Parameters
        ----------
        vectors : (n, 6) array of int
        seconds : float
            0 is right after programming; beyond 30 days is flagged.
        crossbar : int
            Rows of a crossbar.
        adc_bits : float
            Bits of a column's converter.
        method : {"hwat", "noisy"}
            Trained for analog hardware, or not.

        Raises
        ------
        InvalidRequest, UnknownName
        """
        if method not in ANALOG:
            raise UnknownName("method", method, ANALOG)
        if not (seconds >= 0 and crossbar >= 1 and adc_bits > 0 and math.isfinite(seconds) and math.isfinite(adc_bits)):
            raise InvalidRequest(
                f"{seconds} s, {crossbar} rows, {adc_bits} bits: expected no negative time, and both above 0"
            )
        cells = np.atleast_2d(np.asarray(vectors, np.int8))
        times = np.log1p(np.array(TIMES, np.float64))
        known = [self._at(f"{method}_{time}", cells) for time in TIMES]
        right = int(np.clip(np.searchsorted(times, np.log1p(seconds)), 1, len(TIMES) - 1))
        share = (np.log1p(seconds) - times[right - 1]) / (times[right] - times[right - 1])
        values = known[right - 1][0] + share * (known[right][0] - known[right - 1][0])
        inside = min(share, 1.0)
        variance = known[right - 1][1] + inside * (known[right][1] - known[right - 1][1])
        other = (crossbar, adc_bits) != (CROSSBAR, ADC_BITS)
        if other:
            converted = self._converters(cells, crossbar, adc_bits)
            values, variance = values + converted, variance + converted**2
        doubt = np.full(len(cells), other or seconds > TIMES[-1])
        return Prediction(np.clip(values, 0, CEILING), np.sqrt(variance), doubt)

    def _converters(self, cells: NDArray[np.int8], crossbar: int, adc_bits: float) -> NDArray[np.float64]:
        """Return what other converters and crossbars add to the loss; negative where they are better."""
        at_8 = np.maximum(self._at("ptq", cells)[0], 0)
        # Each crossbar that a sum is cut into adds one conversion error; four times the noise is one bit less.
        fewer = 0.5 * np.log2(cellwise.crossbars(cells, crossbar) / cellwise.crossbars(cells, CROSSBAR))
        added: NDArray[np.float64] = at_8 * (self.sensitivity.ratio ** (ADC_BITS - adc_bits + fewer) - 1)
        return added

    # -- layer by layer -----------------------------------------------------------------------

    def loss_imagenet(
        self,
        space: Space,
        vectors: ArrayLike,
        precision: str | None = None,
        *,
        bits: ArrayLike | None = None,
        dataset: str = "imagenet",
        method: str = "ptq",
    ) -> Prediction:
        """Return the loss of any space's networks from the sensitivity of their layers.

        Parameters
        ----------
        space : Space
        vectors : (n, positions) array of int
        precision : str, optional
            One precision of all layers but the first and the last, which keep 8 bits at least.
        bits : (n, layers, 2) array of int, optional
            Instead: the bits of weights and of activations of each convolution or linear layer, in the order of
            the layer table. Those beyond a network's layers mean nothing.
        dataset : str
            Only ImageNet was fitted; others are flagged.
        method : {"ptq", "qat"}

        Raises
        ------
        InvalidRequest, UnknownName
        """
        _check(method)
        vectors = np.atleast_2d(np.asarray(vectors))
        if (precision is None) == (bits is None):
            raise InvalidRequest("name a precision, or the bits of each layer: one of the two")
        layers, offsets = layerwise.weighted_layers(space, vectors, dataset)
        if bits is None:
            pair = precision_bits(str(precision))
            if min(pair) >= LOSSLESS:
                return Prediction(np.zeros(len(vectors)), np.zeros(len(vectors)), np.zeros(len(vectors), bool))
            each = np.tile(np.array(pair, np.float64), (len(layers), 1))
            ends = layerwise.ends(offsets)
            each[ends] = np.maximum(each[ends], _ENDS)
        else:
            each = layerwise.align(bits, offsets)
        return self.loss_layers(layers, offsets, each, dataset, method)

    def loss_layers(
        self,
        layers: NDArray[np.void],
        offsets: NDArray[np.int64],
        bits: NDArray[np.float64],
        dataset: str = "imagenet",
        method: str = "ptq",
    ) -> Prediction:
        """Return the loss of networks by their weighted layers, one after the other, and each layer's two bits."""
        _check(method)
        model = self.sensitivity
        values = layerwise.loss(model, method, layers, offsets, bits)
        low, high = self._arrays["layers_millions"]
        size, at_ends = layerwise.millions(layers, offsets), bits[layerwise.ends(offsets)].min(axis=(0, 2))
        # Beyond a factor of 2 of what was fitted, a first or last layer below 8 bits, other images, other activations.
        doubt = (size < low / 2) | (size > high * 2) | (at_ends < _ENDS) | (dataset != "imagenet")
        doubt |= layerwise.gated(layers, offsets)
        lowest = np.minimum.reduceat(bits.min(axis=1), offsets[:-1])
        std = np.where(lowest >= LOSSLESS, 0, np.hypot(model.floor, model.relative * values))
        return Prediction(values, std, doubt | (lowest < 2))

    def _mixed(self, space: MixedPrecision, vectors: NDArray[Any], dataset: str, method: str) -> Prediction:
        base = vectors[:, : len(space.base.choices)]
        decisions = vectors[:, len(space.base.choices) :].reshape(len(vectors), space.layers, 2)
        bits = np.stack(
            [np.array(space.weights)[decisions[:, :, 0]], np.array(space.activations)[decisions[:, :, 1]]], axis=2
        )
        if space.base.name != "nasbench201":
            return self.loss_imagenet(space.base, base, bits=bits, dataset=dataset, method=method)
        cells = np.asarray(base, np.int8)
        by_cell, around = cellwise.split_layers(cells, bits)
        # Trained networks have the same bits in all cells of a stage: others are the mean of five such networks.
        parts = [
            self.loss_nasbench201(cells, bits=by_cell[:, :, cell], method=method) for cell in range(cellwise.CELLS)
        ]
        differ = (by_cell != by_cell[:, :, :1]).any((1, 2, 3))
        doubt = np.any([part.extrapolated for part in parts], axis=0) | differ | around | (dataset != "cifar10")
        high = bits >= LOSSLESS
        whole = high.all(axis=(1, 2))
        values = np.where(whole, 0.0, np.mean([part.values for part in parts], axis=0))
        std = np.where(whole, 0.0, np.mean([part.std for part in parts], axis=0))
        return Prediction(values, std, ~whole & (doubt | high.any(axis=(1, 2))))


def _check(method: str) -> None:
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)


def _space() -> NasBench201:
    from hwnasbench import spaces

    return cast("NasBench201", spaces.get("nasbench201"))
