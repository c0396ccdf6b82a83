"""Accuracies that models compute where no table holds them: on ImageNet, and at low precision.

Making a column imports nothing; NumPy and the model come when a value is read.
"""

from __future__ import annotations

import functools
import itertools
import math

from hwnasbench.errors import AmbiguousQuery, NoColumn
from hwnasbench.predictors.words import LOSSLESS, METHODS, SPACES
from hwnasbench.tables.columns import PredictedColumn
from hwnasbench.vocabulary import KEYS, PER_LAYER, PRECISIONS, SCOPE_KEYS, precision_bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.benchmark import Benchmark
    from hwnasbench.devices import Device
    from hwnasbench.predictors.base import Prediction, Quantiles
    from hwnasbench.predictors.imagenet import ImageNetAccuracy
    from hwnasbench.resolve import Resolved
    from hwnasbench.spaces import Space
    from hwnasbench.tables.columns import Column

IMAGENET, PRECISION = "hwnasbench-imagenet", "hwnasbench-precision"
_CITATION = "@software{{{key},\n  title = {{{title}}},\n  author = {{{{The hwnasbench developers}}}}\n}}"


def _record(key: str, title: str) -> dict[str, Any]:
    citation = _CITATION.format(key=key, title=title)
    return {
        "title": title,
        "repository": "",
        "commit": "",
        "licence": "Apache-2.0",
        "priority": 0,
        "citation": citation,
    }


#: The records of these sources, beside those of the tables.
RECORDS = {
    IMAGENET: _record(
        "hwnasbench_imagenet", "ImageNet accuracy of networks of inverted residual blocks, by hwnasbench"
    ),
    PRECISION: _record("hwnasbench_precision", "Accuracy lost to low precision, by hwnasbench"),
}
#: Training recipes of the model of ImageNet accuracy; CIFAR-100 knows the first alone.
RECIPES = ("standard", "advanced", "ofa_supernet", "accelnasbench_proxy")
#: Low precisions that `coverage` lists: those that have a name, and those that somebody trained.
LOW = (*(name for name, bits in PRECISIONS.items() if min(bits) < LOSSLESS and name != "analog"), "w4a8", "w2a8")


class ComputedAccuracy(PredictedColumn):
    """An accuracy that a model computes; subclasses say how."""

    kinds = ("predicted",)
    of = "measured"
    priority = 0

    def __init__(self, space: Space, source: str, keys: dict[str, str | int | None], flags: tuple[str, ...]) -> None:
        self.counted = space
        self.space = space.name
        self.metric = "accuracy"
        self.source = source
        self.flags = flags
        self.keys = {key: keys.get(key) if key in SCOPE_KEYS["training"] else None for key in KEYS}

    def vectors(self, where: NDArray[Any] | None) -> NDArray[np.int8]:
        """Return the canonical decisions of architectures by index (None is all) or by vector."""
        if not self.counted.enumerable:
            return self.counted.canonical_vectors(self.counted.vectors(where))
        every = self.counted.all_vectors()
        return every if where is None else every[where]


class ImageNetColumn(ComputedAccuracy):
    """What `hwnasbench.predictors.imagenet` says of a space's networks under one training recipe."""

    def __init__(self, space: Space, dataset: str, recipe: str, flags: tuple[str, ...] = ()) -> None:
        keys: dict[str, str | int | None] = {"dataset": dataset, "precision": "fp32", "split": "test", "recipe": recipe}
        super().__init__(space, IMAGENET, keys, flags)

    def predict(self, where: NDArray[Any] | None) -> Prediction:
        dataset, recipe = str(self.keys["dataset"]), str(self.keys["recipe"])
        return _imagenet().predict(self.space, self.vectors(where), dataset, recipe)

    def quantiles(self) -> Quantiles | None:
        return _imagenet().quantiles()


@functools.cache
def _imagenet() -> ImageNetAccuracy:
    """Return the shipped model, read once a process."""
    from hwnasbench.predictors.imagenet import open_model

    return open_model()


class PrecisionColumn(ComputedAccuracy):
    """An accuracy in float32 less what `hwnasbench.predictors.precision` says that a precision loses."""

    def __init__(self, space: Space, full: Resolved, precision: str, method: str) -> None:
        recipe = joined(full.column.keys["recipe"], method)
        keys = {**full.column.keys, "precision": precision, "recipe": recipe}
        super().__init__(space, PRECISION, keys, (*full.column.flags, *full.flags))
        self.base, self.method = full.column, method

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.source, *self.base.sources)

    def _loss(self, where: NDArray[Any] | None) -> Prediction:
        from hwnasbench.predictors.precision import open_model

        dataset, precision = (str(self.keys[key]) for key in ("dataset", "precision"))
        return open_model().loss(self.counted, self.vectors(where), dataset, precision, self.method)

    def _within_base(self, where: NDArray[Any]) -> NDArray[Any]:
        """Return where the base column keeps the networks: those in mixed precision bring their bits."""
        base = getattr(self.counted, "base", None)
        if base is None:
            return where
        networks = where[:, : len(base.choices)]
        found: NDArray[Any] = base.indices(networks) if base.enumerable else base.vectors(networks)
        return found

    def predict(self, where: NDArray[Any] | None) -> Prediction:
        from hwnasbench.vectors import read

        loss = self._loss(where)
        full = read(self.base, None if where is None else self._within_base(where))
        return loss._replace(values=(full.values - loss.values).clip(0, 100))

    def statuses(self, where: NDArray[Any] | None) -> NDArray[np.uint8] | None:
        from hwnasbench.vectors import read

        return read(self.base, None if where is None else self._within_base(where)).status

    def _one_within(self, where: Any) -> Any:
        import numpy as np

        return self._within_base(np.array([where]))[0]

    def status(self, where: Any) -> str:
        return self.base.status(self._one_within(where))

    def flags_at(self, where: Any) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*super().flags_at(where), *self.base.flags_at(self._one_within(where)))))

    def std_at(self, where: Any) -> float | None:
        full, loss = self.base.std_at(self._one_within(where)), super().std_at(where)
        return None if full is None or loss is None else math.hypot(full, loss)

    def quantiles_at(self, where: Any) -> Quantiles | None:
        """Add the errors of the accuracy in float32 and of the loss, as if one told nothing of the other."""
        import numpy as np

        from hwnasbench.predictors.precision import open_model
        from hwnasbench.predictors.sums import Part, Summed

        inside = self._one_within(where)
        full, spread, known = self.base.read(inside), self.base.std_at(inside), self.base.quantiles_at(inside)
        if spread is None or (known is None and spread > 0):
            return None
        found, lost_spread, _ = self._one(where)
        lost = open_model().errors(
            self.counted, self.vectors(np.array([where])), full - found, lost_spread, self.method
        )
        whole = [] if known is None else [Part(known, full, spread)]
        return Summed([*whole, *(part._replace(scale=-part.scale) for part in lost)])


def metrics(space: Space) -> tuple[str, ...]:
    """Return the metrics that models know of a space that has no column of them."""
    return ("accuracy",) if space.name in SPACES or hasattr(space, "base") else ()


def computed(
    bench: Benchmark,
    metric: str,
    device: Device | None,
    named: dict[str, Any],
    kinds: tuple[str, ...] | None,
    source: str | None,
) -> Column | None:
    """Return the column that computes what no stored one holds, by a model or a cost model; None where none does."""
    from hwnasbench import simulated  # which resolves requests with this module's words

    if metric == "accuracy":
        return accuracy(bench, device, named, kinds, source)
    if (kinds is None or "simulated" in kinds) and source in (None, simulated.SOURCE, simulated.COUNTS_SOURCE):
        return simulated.column(bench, metric, device, named)
    return None


def recipes(space: Space) -> tuple[str, ...]:
    """Return the recipes that models know for a space's networks."""
    name = getattr(space, "base", space).name
    known = RECIPES if name in SPACES else ()
    return (*known, *METHODS, *(joined(recipe, method) for recipe in known for method in METHODS))


def joined(recipe: str | int | None, method: str) -> str:
    """Return the recipe of an accuracy at low precision: the method, after a training that is not the usual one."""
    return method if recipe in (None, RECIPES[0]) else f"{recipe}+{method}"


def accuracy(
    bench: Benchmark, device: Device | None, named: dict[str, Any], kinds: tuple[str, ...] | None, source: str | None
) -> PredictedColumn | None:
    """Return the column that computes the accuracy that a request asks for, or None where no model does.

    Parameters
    ----------
    bench : Benchmark
    device : Device or None
        Its precision is the request's, where the request names none.
    named : dict
        The keys that the request names.
    kinds, source : optional
        What the request restricts its answer to.
    """
    if kinds is not None and "predicted" not in kinds:
        return None
    mixed = getattr(bench.space, "per_layer", False)
    usual = PER_LAYER if mixed else "fp32" if device is None else device.defaults.get("precision", "fp32")
    precision = str(named.get("precision") or usual)
    if precision != PER_LAYER and min(precision_bits(precision)) >= LOSSLESS:
        return None if mixed or source not in (None, IMAGENET) else _on_imagenet(bench, named, precision)
    if source not in (None, PRECISION) or precision == "analog" or (precision == PER_LAYER) != mixed:
        return None
    recipe, _, method = str(named.get("recipe", "")).rpartition("+")
    if method not in METHODS:
        recipe, method = method, METHODS[0]
    full = {key: value for key, value in named.items() if key not in ("precision", "recipe")}
    base = _full_precision(bench, {**full, "precision": "fp32", **({"recipe": recipe} if recipe else {})}, kinds)
    return None if base is None else PrecisionColumn(bench.space, base, precision, method)


def _on_imagenet(bench: Benchmark, named: dict[str, Any], precision: str) -> ImageNetColumn | None:
    known = SPACES.get(bench.space.name, ())
    dataset = named.get("dataset") or bench.defaults["defaults"].get("dataset") or (known[0] if known else None)
    recipe = named.get("recipe", RECIPES[0])
    if dataset not in known or recipe not in (RECIPES if dataset == "imagenet" else RECIPES[:1]):
        return None
    if named.get("split", "test") != "test" or named.get("epochs") is not None:
        return None
    return ImageNetColumn(bench.space, dataset, recipe, () if precision == "fp32" else ("precision_mismatch",))


def _full_precision(bench: Benchmark, named: dict[str, Any], kinds: tuple[str, ...] | None) -> Resolved | None:
    """Return what answers for the accuracy in float32, of the base space where the space mixes precisions.

    A table of some networks would leave gaps: predictions come before it.
    """
    whole = of_base(bench)
    for allowed in (("predicted",), kinds):
        try:
            return whole.resolve("accuracy", None, named, allowed, None)
        except (NoColumn, AmbiguousQuery):
            continue
    return None


def of_base(bench: Benchmark) -> Benchmark:
    """Return what is known of the networks in float32: of the base space where the space mixes precisions."""
    base = getattr(bench.space, "base", None)
    if base is None:
        return bench
    from hwnasbench.benchmark import Benchmark

    return Benchmark(base, bench.stores)


def coverage(bench: Benchmark) -> Iterator[PredictedColumn]:
    """Yield what models answer for a space: accuracies on ImageNet, and at low precision.

    Any ``wXaY`` has an answer: those of `LOW` are listed.
    """
    yield from _imagenet_columns(bench.space)
    yield from _at_low_precision(bench)


def _imagenet_columns(space: Space) -> Iterator[PredictedColumn]:
    for dataset in SPACES.get(space.name, ()):
        for recipe in RECIPES if dataset == "imagenet" else RECIPES[:1]:
            yield ImageNetColumn(space, dataset, recipe)


def _at_low_precision(bench: Benchmark) -> Iterator[PredictedColumn]:
    """Yield what requests for each accuracy in float32 find at low precision, each column once."""
    whole = of_base(bench)
    known, found = recipes(bench.space), set()
    precisions = (PER_LAYER,) if getattr(bench.space, "per_layer", False) else LOW
    for full in (*whole.all_columns(), *_imagenet_columns(whole.space)):
        if full.metric != "accuracy" or full.keys["precision"] != "fp32":
            continue
        stated = {key: full.keys[key] for key in ("dataset", "split", "epochs") if full.keys[key] is not None}
        for precision, method in itertools.product(precisions, METHODS):
            named = {**stated, "precision": precision, "recipe": joined(full.keys["recipe"], method)}
            column = accuracy(bench, None, named, None, PRECISION) if named["recipe"] in known else None
            if column is not None and tuple(column.keys.values()) not in found:
                found.add(tuple(column.keys.values()))
                yield column
