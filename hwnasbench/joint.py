"""Co-search: networks and the accelerators that run them, simulated together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.costs import model as model_of
from hwnasbench.costs.base import CostModel, chunked
from hwnasbench.costs.layers import Layers
from hwnasbench.costs.simulate import check_precision
from hwnasbench.errors import InvalidRequest, NoColumn, UnknownName
from hwnasbench.networks.memory import peak_bytes
from hwnasbench.plan import as_integer, as_words
from hwnasbench.simulated import SOURCE
from hwnasbench.vectors import check_several, front, statuses_of
from hwnasbench.vocabulary import METRICS, PER_LAYER, STATUSES, precision_bits, simulated_metrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    import pandas as pd
    from numpy.typing import NDArray

    from hwnasbench.benchmark import Data
    from hwnasbench.devices.accelerator_spaces import JointSpace
    from hwnasbench.results import Result

    Floats = NDArray[np.float64]

#: Pairs laid out at a time: their layer tables stay small.
_PAIRS = 2048
#: What a network would need whether or not it fits, and what a design has whatever it runs.
_NEEDS, _OF_DESIGNS = ("peak_memory", "model_size"), ("area", "dsp", "lut", "bram")
_OK, _DISCONNECTED, _DOES_NOT_FIT, _UNSUPPORTED = (
    STATUSES.index(word) for word in ("ok", "disconnected", "does_not_fit", "unsupported_layer")
)


class JointBenchmark:
    """Queries over pairs of a network and an accelerator design; made by `hwnasbench.load`.

    What a design costs is simulated. What is known of the network alone, such as its accuracy, comes
    from the benchmark of the networks' space.

    Parameters
    ----------
    space : JointSpace
    data : {"auto", "shipped", "built"}
        Where accuracies come from.

    Attributes
    ----------
    space : JointSpace
    networks : Benchmark
        Of the networks alone; its ``coverage()`` and ``datasets()`` say what is known of them.
    """

    def __init__(self, space: JointSpace, data: Data = "auto") -> None:
        from hwnasbench.benchmark import load

        self.space = space
        self.networks = load(space.base, data)
        self._data = data
        self._simulated = simulated_metrics(space.accelerators.accelerator.sort)

    def __reduce__(self) -> tuple[object, ...]:
        return JointBenchmark, (self.space, self._data)

    def __repr__(self) -> str:
        return f"<joint benchmark {self.space.name}: {', '.join(self.metrics())}>"

    def metrics(self) -> list[str]:
        """Return the metrics of pairs: those that are simulated, and those of the network alone."""
        networks = set(self.networks.plan(self.space.accelerators.accelerator()).metrics)
        return [name for name in METRICS if name in self._simulated or name in networks]

    def query(self, arch: Any, **request: Any) -> Result:
        """Return what is known of one pair; the arguments are those of `Benchmark.query`, without a device.

        Raises
        ------
        InvalidRequest
            When its values are read, where the design cannot be built.
        """
        network, design = self.space.split(arch)
        return self.networks.query(network, device=self.space.accelerators.device(design), **request)

    def query_many(
        self,
        archs: Any,
        *,
        metrics: Sequence[str] | str | None = None,
        dataset: str | None = None,
        precision: str | None = None,
        batch: int = 1,
        split: str | None = None,
        recipe: str | None = None,
        epochs: int | None = None,
        source: str | None = None,
        kinds: Sequence[str] | str | None = None,
        fill: str | None = None,
    ) -> pd.DataFrame:
        """Return one row a pair, each network on its own design: each metric, and its status.

        Parameters
        ----------
        archs : (n, positions) array or iterable of pairs
        metrics : sequence of str, optional
            All of `metrics` by default.
        dataset : str, optional
            The space's first where None.
        precision : str, optional
            The accelerator's first where None; in a mixed-precision space each layer's own bits.
        batch : int
        split, recipe, epochs, fill : optional
            Of the network's own metrics.
        source, kinds : optional
            As for `Benchmark.query`; a metric of pairs has the kind ``simulated`` alone.

        Returns
        -------
        pandas.DataFrame
            NaN where there is no value; ``<metric>_status`` says why. A design that cannot be built has
            the status ``does_not_fit``.

        Raises
        ------
        NoColumn
            When `kinds` or `source` leaves nothing that answers for a metric.
        """
        import pandas as pd

        wanted = self.metrics() if metrics is None else [metrics] if isinstance(metrics, str) else list(metrics)
        for name in wanted:
            if name not in METRICS:
                raise UnknownName("metric", name, METRICS)
        images = as_integer("batch", batch)
        if images is None or images < 1:
            raise InvalidRequest(f"batch={batch!r}: expected 1 or more")
        vectors = self.space.vectors(archs)
        own = [name for name in wanted if name in self._simulated]
        others = [name for name in wanted if name not in self._simulated]
        parts: dict[str, Any] = {}
        if own:
            _check_kinds(own[0], as_words("kinds", kinds), source)
            pairs = self._pairs(vectors, dataset, precision, images)
            for name in own:
                values, status = pairs[name]
                parts[name] = np.where(status == _OK, values, np.nan)
                parts[f"{name}_status"] = statuses_of(status, len(vectors))
        request = {"split": split, "recipe": recipe, "epochs": epochs, "source": source, "kinds": kinds, "fill": fill}
        known = self._networks(vectors, others, {"dataset": dataset, "precision": precision, **request})
        parts.update({str(name): known[name].array for name in known})
        order = [column for name in wanted for column in (name, f"{name}_status", f"{name}_kind") if column in parts]
        frame = pd.DataFrame({column: parts[column] for column in order}, copy=False)
        sources = set(known.attrs.get("sources", ())) | ({SOURCE} if own else set())
        stated = {key: value for key, value in request.items() if value is not None}
        keys = {"dataset": dataset, "precision": precision, "batch": images, **stated}
        frame.attrs = {
            "request": {"space": self.space.name, **keys, "metrics": tuple(wanted)},
            "release": self.networks.release,
            "fingerprint": self.networks.fingerprint,
            "sources": sorted(sources),
        }
        return frame

    def pareto(self, metrics: Sequence[str], archs: Any, **request: Any) -> pd.DataFrame:
        """Return the pairs of `archs` that no other one beats on all `metrics`; see `Benchmark.pareto`.

        Parameters
        ----------
        metrics : sequence of str
            Two or more.
        archs : (n, positions) array or iterable of pairs
        **request
            As for `query_many`.

        Returns
        -------
        pandas.DataFrame
            Columns arch, the metrics; sorted by the first metric, best first.
        """
        check_several(metrics)
        vectors = self.space.vectors(archs)
        frame = self.query_many(vectors, metrics=metrics, **request)
        rows = front(frame[list(metrics)].to_numpy(float), metrics)
        best = frame[list(metrics)].iloc[rows].reset_index(drop=True)
        best.insert(0, "arch", [self.space.format(vector) for vector in vectors[rows]])
        return best

    def cite(self, result: Result | pd.DataFrame | Iterable[str] | None = None) -> str:
        """Return the BibTeX of everything behind a result; see `Benchmark.cite`."""
        return self.networks.cite(result)

    # -- pairs --------------------------------------------------------------------------------

    def _networks(self, vectors: NDArray[np.int8], names: list[str], request: dict[str, Any]) -> pd.DataFrame:
        """Return what is known of the networks alone, at the precision that the accelerator has."""
        import pandas as pd

        if not names:
            return pd.DataFrame()
        given = {key: value for key, value in request.items() if value is not None}
        if set(names) <= {"params", "macs"}:
            given.pop("precision", None)
        device = self.space.accelerators.accelerator()
        split = len(self.space.base.choices)
        return self.networks.query_many(vectors[:, :split], device=device, metrics=names, **given)

    def _buildable(self, vectors: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Return which rows' designs can be built; their choices are within bounds, but may contradict each other."""
        accelerators = self.space.accelerators
        model = model_of(accelerators.accelerator.model)
        unique, owner = np.unique(vectors, axis=0, return_inverse=True)
        built = np.ones(len(unique), np.bool_)
        if type(model).check is not CostModel.check:
            designs, values = accelerators.designs(unique), model.values({})
            for row, chosen in enumerate(zip(*(column.tolist() for column in designs.values()), strict=True)):
                vars(values).update(zip(designs, chosen, strict=True))
                try:
                    model.check(values)
                except InvalidRequest:
                    built[row] = False
        return np.asarray(built[owner.reshape(-1)])

    def _pairs(
        self, vectors: NDArray[np.int8], dataset: str | None, precision: str | None, batch: int
    ) -> dict[str, tuple[Floats, NDArray[np.uint8]]]:
        """Simulate each network on its own design; return values and status codes of every metric."""
        accelerators, base = self.space.accelerators, self.space.base
        model = model_of(accelerators.accelerator.model)
        split = len(base.choices)
        chosen = precision or (PER_LAYER if getattr(base, "per_layer", False) else accelerators.accelerator.runs[0])
        check_precision(accelerators.accelerator(), chosen)
        designs = accelerators.designs(vectors[:, split:])
        out = {name: np.full(len(vectors), np.nan) for name in self._simulated}
        status = np.full(len(vectors), _OK, np.uint8)
        for start in range(0, len(vectors), _PAIRS):
            part = slice(start, start + _PAIRS)
            own = {key: value[part] for key, value in designs.items()}
            found, status[part] = self._simulate(
                vectors[part, :split], own, dataset or self.space.datasets[0], chosen, batch
            )
            for name, column in out.items():
                column[part] = found[name]
        unbuilt = ~self._buildable(vectors[:, split:])
        values = model.values(designs, arrays=True)
        fitting = model.fits(values, out["peak_memory"], out["model_size"])
        status[~unbuilt & (status == _OK) & ~fitting] = _DOES_NOT_FIT
        connected = np.where(status == _DISCONNECTED, _DISCONNECTED, _OK)
        always = dict.fromkeys(_OF_DESIGNS, np.full(len(vectors), _OK))
        own_status = {**always, **dict.fromkeys(_NEEDS, connected)}
        return {
            name: (column, np.where(unbuilt, _DOES_NOT_FIT, own_status.get(name, status)).astype(np.uint8))
            for name, column in out.items()
        }

    def _simulate(
        self, vectors: NDArray[np.int8], designs: dict[str, Floats], dataset: str, precision: str, batch: int
    ) -> tuple[dict[str, Any], NDArray[np.uint8]]:
        base, n = self.space.base, len(vectors)
        model = model_of(self.space.accelerators.accelerator.model)
        table, offsets = base.layer_table(vectors, dataset)
        lengths = np.diff(offsets)
        owner = np.repeat(np.arange(n), lengths)
        if precision != PER_LAYER:
            table["weight_bits"], table["activation_bits"] = precision_bits(precision)
        each = model.values(designs, arrays=True)
        layered = model.values({key: value[owner] for key, value in designs.items()}, arrays=True)
        layers = Layers(table, batch)
        with np.errstate(all="ignore"):  # designs that cannot be built get their status afterwards
            costs = chunked(model, table, layered, batch)
            ideal = layers.work / model.peak_macs(layered, layers.weight_bits, layers.activation_bits)

            def summed(values: Any) -> Floats:
                return np.bincount(owner, values, n).astype(np.float64, copy=False)

            latency = summed(costs.latency) + model.overhead(each)
            scratch = np.zeros(n)
            np.maximum.at(scratch, owner, model.workspace(layers, layered))
            found = {
                "latency": latency,
                "energy": summed(costs.energy),
                "utilisation": summed(ideal) / latency,
                "throughput": batch / latency * 1000,
                "peak_memory": (self._peaks(vectors, dataset, precision) * batch + scratch) / 1024,
                "model_size": summed(layers.params * layers.weight_bits / 8 / 1024),
                "area": model.area(each),
                **model.resources(each),
            }
        status = np.full(n, _OK, np.uint8)
        if costs.supported is not None:
            status[owner[~costs.supported]] = _UNSUPPORTED
        status[lengths == 0] = _DISCONNECTED
        return found, status

    def _peaks(self, vectors: NDArray[np.int8], dataset: str, precision: str) -> Floats:
        """Return the bytes of the activations that are alive at one time, of one image."""
        base = self.space.base
        if precision == PER_LAYER:
            return np.array([peak_bytes(base.network(vector, dataset).live()) for vector in vectors], np.float64)
        return base.compose(vectors, dataset).peaks.astype(np.float64) * (precision_bits(precision)[1] / 8)


def _check_kinds(metric: str, kinds: tuple[str, ...] | None, source: str | None) -> None:
    """Refuse kinds and sources that no metric of pairs has."""
    if (kinds is not None and "simulated" not in kinds) or source not in (None, SOURCE):
        left = f"kinds={kinds!r} and source={source!r} leave nothing"
        raise NoColumn(f"{metric} of pairs is simulated, from {SOURCE!r}: {left}")
