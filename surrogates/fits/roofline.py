"""Processors fitted to published latencies of whole networks, and Raspberry Pi 5 to its energies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench import spaces
from hwnasbench.costs import model, values_of
from hwnasbench.costs.layers import Layers
from hwnasbench.devices import catalog
from hwnasbench.vocabulary import precision_bits
from surrogates import folds
from surrogates.fits import Fit, scorecard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from hwnasbench.devices import Device

#: Networks of one column that a fit looks at.
ROWS = 1500
SEED = 20203
#: Sources of columns; of one device and space the first that has it is taken.
SOURCES = ("help", "latbench", "hwnasbench360", "oneproxy")
_CELL = ("conv_gmacs", "pointwise_gmacs", "pool_gops", "bandwidth_gbps", "launch_us", "light_us", "call_us")
#: How far above its default, as a logarithm, a parameter may go; rates go up to the peak.
_ROOM = {"bandwidth_gbps": float(np.log(10))}
_BLOCK = ("depthwise_gmacs", "grouped_gmacs")


class Sample:
    """Networks of one published column: what they are made of, and their values."""

    def __init__(
        self, space: str, dataset: str, vectors: NDArray[np.int8], values: NDArray[Any], bits: Any, batch: int
    ) -> None:
        found = spaces.get(space)
        self.values = values
        self.fold = folds.assign([found.canonical(tuple(vector)) for vector in vectors.tolist()])
        parts = found.compose(vectors, dataset)
        pool = parts.pool.copy()
        pool["weight_bits"], pool["activation_bits"] = bits
        self.layers = Layers(pool, batch)
        fragments = np.repeat(np.arange(len(parts.starts) - 1), np.diff(parts.starts))
        counts = np.zeros((len(vectors), len(parts.starts) - 1))
        for slot, weight in enumerate(np.asarray(parts.weights).tolist()):
            counts[np.arange(len(vectors)), parts.codes[:, slot]] += weight
        self.counts = counts[:, fragments]

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum over the layers of each network."""
        return np.asarray(self.counts @ values)


def fits(sources: Path) -> Iterator[Fit]:
    """Yield the fit of every processor with a published column, to all of its batches at once."""
    columns = _columns(sources)
    for name in sorted({name for name, *_ in columns}):
        device = catalog()[name]
        if device.cost.get("model") != "roofline":
            continue
        samples, told = {}, []
        for key in sorted(key for key in columns if key[0] == name and key[2] == "latency"):
            _, space, _, batch = key
            label = space if batch == 1 else f"{space}, batch {batch}"
            samples[label], source = _sample(device, *columns[key])
            told.append(f"{source}: {label} latency")
        if samples:
            yield _fit(device, samples, " and ".join(told), columns.get((name, "nasbench201", "energy", 1)))


def _columns(sources: Path) -> dict[tuple[str, str, str, int], tuple[Any, str]]:
    """Return the columns at each device's default precision, by device, space, metric and batch."""
    from data_builders import catalog as published

    out: dict[tuple[str, str, str, int], tuple[Any, str]] = {}
    for source in SOURCES:
        record = published.get(source)
        for column in published.importer(record).columns(published.Folder(record, sources / source)):
            keys = column.keys
            device = catalog().get(str(keys.get("device")))
            if device is None or column.metric not in ("latency", "energy") or column.space not in spaces.names():
                continue
            defaults = {"precision": "fp32", **device.defaults}
            defaults.pop("batch", None)
            stated = {key: value for key, value in keys.items() if value is not None}
            if any(stated.get(key, defaults[key]) != defaults[key] for key in defaults):
                continue
            out.setdefault((device.name, column.space, column.metric, int(keys.get("batch") or 1)), (column, source))
    return out


def _sample(device: Device, column: Any, source: str) -> tuple[Sample, str]:
    space = spaces.get(column.space)
    values = np.asarray(column.values, np.float64)
    own = np.isfinite(values) & (values > 0)
    if column.flags is not None and not isinstance(column.flags, str):
        own &= np.array(["copied" not in (text or "") for text in column.flags])
    rows = np.flatnonzero(own)
    rows = np.sort(np.random.default_rng(SEED).permutation(rows)[:ROWS])
    vectors = space.vectors([column.archs[row] for row in rows])
    bits = precision_bits(str(device.defaults.get("precision", "fp32")))
    batch = int(column.keys.get("batch") or 1)
    return Sample(column.space, str(column.keys["dataset"]), vectors, values[rows], bits, batch), source


def _fit(device: Device, samples: dict[str, Sample], source: str, energy: Any) -> Fit:
    names = _CELL + (_BLOCK if any(label.startswith("fbnet") for label in samples) else ())
    held: dict[str, NDArray[np.float64]] = {space: np.empty(len(s.values)) for space, s in samples.items()}
    for fold in range(folds.FOLDS):
        found = _solve(device, samples, names, fold)
        for space, sample in samples.items():
            mine = sample.fold == fold
            held[space][mine] = _latency(device, sample, found)[mine]
    best = _solve(device, samples, names, None)
    cards = [
        scorecard("latency", f"{source} ({space})", sample.values, held[space], folds=folds.FOLDS)
        for space, sample in samples.items()
    ]
    if energy is not None:
        sample, origin = _sample(device, *energy)
        powers, card = _energy(device, sample, best, origin)
        best.update(powers)
        cards.append(card)
    return Fit(device.name, "roofline", source, best, cards)


def _given(device: Device, found: dict[str, float]) -> Any:
    return values_of(device, found)


def _latency(device: Device, sample: Sample, found: dict[str, float]) -> NDArray[np.float64]:
    values = _given(device, found)
    return sample.sums(model("roofline").cost(sample.layers, values).latency) + model("roofline").overhead(values)


def _start(device: Device, names: tuple[str, ...]) -> NDArray[np.float64]:
    from hwnasbench.devices.parameters import parameters

    known = parameters("roofline")
    defaults = [known[name].by_class.get(device.device_class, {"value": known[name].value})["value"] for name in names]
    return np.log(np.array(defaults, np.float64))


def _solve(device: Device, samples: dict[str, Sample], names: tuple[str, ...], fold: int | None) -> dict[str, float]:
    """Fit the logarithms of the parameters to the logarithms of the latencies, a fold left out."""
    from scipy.optimize import least_squares

    start = _start(device, names)
    kept = {space: np.ones(len(s.values), bool) if fold is None else s.fold != fold for space, s in samples.items()}

    def residuals(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        found = dict(zip(names, np.exp(logs).tolist(), strict=True))
        parts = [np.log(_latency(device, s, found) / s.values)[kept[space]] for space, s in samples.items()]
        pull = 0.02 * np.sqrt(ROWS) * (logs - start) / 5  # what the data cannot tell stays near its default
        return np.concatenate([*parts, pull])

    highest = start + np.array([_ROOM.get(name, 7.0) for name in names])
    peak = np.log(device.parameters()["peak_gmacs"]["value"])
    highest = np.where([name.endswith("_gmacs") for name in names], np.maximum(peak, start + 1e-6), highest)
    result = least_squares(residuals, start, bounds=(start - 7, highest), loss="soft_l1", f_scale=0.1, max_nfev=60)
    return dict(zip(names, np.exp(result.x).tolist(), strict=True))


def _energy(
    device: Device, sample: Sample, found: dict[str, float], origin: str
) -> tuple[dict[str, float], dict[str, Any]]:
    """Fit idle power and the energies of arithmetic and of bytes, none of them negative."""
    from scipy.optimize import nnls

    layers = sample.layers
    moved = layers.input_bytes + layers.output_bytes + layers.weight_bytes
    bits = (layers.weight_bits + layers.activation_bits) / 64
    design = np.stack(
        [
            sample.sums(model("roofline").cost(layers, _given(device, found)).latency),
            sample.sums(layers.work * bits) * 1e-9,
            sample.sums(moved) * 1e-9,
        ],
        axis=1,
    )
    names = ("idle_w", "mac_pj", "dram_pj_per_byte")

    def solve(rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        weight = 1 / sample.values[rows]
        return np.asarray(nnls(design[rows] * weight[:, None], np.ones(int(rows.sum())))[0])

    held = np.empty(len(sample.values))
    for fold in range(folds.FOLDS):
        held[sample.fold == fold] = design[sample.fold == fold] @ solve(sample.fold != fold)
    best = solve(np.ones(len(held), bool))
    card = scorecard("energy", f"{origin}: nasbench201 energy", sample.values, held, folds=folds.FOLDS)
    return {**dict(zip(names, best.tolist(), strict=True)), "buffer_pj_per_byte": 0.0}, card
