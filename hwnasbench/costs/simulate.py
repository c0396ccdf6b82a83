"""From a space's architectures and a device to latency, energy, memory and area, one or many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hwnasbench.costs import model as model_of
from hwnasbench.costs import values_of
from hwnasbench.costs.base import chunked
from hwnasbench.costs.layers import Layers
from hwnasbench.errors import InvalidRequest, UnknownName
from hwnasbench.networks.runtime import RUNS, executed
from hwnasbench.vocabulary import PER_LAYER, STATUSES, precision_bits, simulated_metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.costs.base import Values
    from hwnasbench.devices import Device
    from hwnasbench.networks import Network
    from hwnasbench.spaces import Space

_OK, _DISCONNECTED, _DOES_NOT_FIT, _UNSUPPORTED = (
    np.uint8(STATUSES.index(word)) for word in ("ok", "disconnected", "does_not_fit", "unsupported_layer")
)
#: Metrics that say how much a network would need, whether or not it fits.
_NEEDS = ("peak_memory", "model_size", "area", "dsp", "lut", "bram")


class Simulated(NamedTuple):
    """One metric of many architectures: values, NaN where the status is not ok, and positions in STATUSES."""

    values: NDArray[np.float64]
    status: NDArray[np.uint8]


def check_precision(device: Device, precision: str) -> None:
    """Refuse a precision that the device does not run.

    Raises
    ------
    UnknownName
        When it is unknown, or none of the device's.
    """
    if precision == PER_LAYER:
        return
    precision_bits(precision)
    if precision not in device.precisions:
        raise UnknownName(f"precision of {device.name}", precision, device.precisions)


class Simulator:
    """The cost model of one device at one precision and batch.

    Parameters
    ----------
    device : Device
    precision : str, optional
        The device's default where None; ``per_layer`` leaves the bits that the layers bring.
    batch : int
        Images of one inference call.

    Raises
    ------
    NoColumn
        When the device has no cost model.
    UnknownName, InvalidRequest
        When the precision or the batch is none that it runs, or its parameters contradict each other.
    """

    def __init__(self, device: Device, precision: str | None = None, batch: int = 1) -> None:
        self.device = device
        self.values: Values = values_of(device)
        self.model = model_of(device.cost["model"])
        self.precision = precision or device.precisions[0]
        check_precision(device, self.precision)
        if batch < 1:
            raise InvalidRequest(f"batch={batch!r}: expected 1 or more")
        self.batch = batch
        self.metrics = simulated_metrics(device.device_class)
        self.runs = RUNS[int(getattr(self.values, "runs", 0))]

    def _with_bits(self, table: NDArray[np.void]) -> NDArray[np.void]:
        if self.precision == PER_LAYER:
            return table
        table = table.copy()
        table["weight_bits"], table["activation_bits"] = precision_bits(self.precision)
        return table

    def many(self, space: Space, vectors: NDArray[np.int8], dataset: str) -> dict[str, Simulated]:
        """Simulate many architectures: layers that fragments share are costed once and gathered.

        Parameters
        ----------
        space : Space
        vectors : (n, positions) ndarray of int8
        dataset : str

        Returns
        -------
        dict of str to Simulated
        """
        parts = space.compose(vectors, dataset, self.runs)
        pool = self._with_bits(parts.pool)
        costs = chunked(self.model, pool, self.values, self.batch)
        layers = Layers(pool, self.batch)
        peak = self.model.peak_macs(self.values, layers.weight_bits, layers.activation_bits)
        rows = {
            "latency": costs.latency,
            "energy": costs.energy,
            "ideal": layers.work / peak,
            "model_size": layers.params * layers.weight_bits / 8 / 1024,
            "layers": np.ones(len(pool)),
            "unsupported": np.zeros(len(pool)) if costs.supported is None else (~costs.supported).astype(np.float64),
        }
        total = {name: _gather(_sums(values, parts.starts), parts) for name, values in rows.items()}
        scratch = _gather_largest(_largest(self.model.workspace(layers, self.values), parts.starts), parts)
        bits = 32 if self.precision == PER_LAYER else precision_bits(self.precision)[1]
        total["peak_memory"] = (parts.peaks * (bits / 8) * self.batch + scratch) / 1024
        total["latency"] = total["latency"] + self.model.overhead(self.values)
        if self.precision == PER_LAYER or not self.model.sequential:
            self._each_network(space, vectors, dataset, total, scratch, parts.codes)
        return self._answers(total)

    def _each_network(
        self,
        space: Space,
        vectors: NDArray[np.int8],
        dataset: str,
        total: dict[str, NDArray[np.float64]],
        scratch: NDArray[np.float64],
        codes: NDArray[np.int64],
    ) -> None:
        """Replace what is no sum over layers: the memory of mixed bits, the latency of parallel branches.

        Networks of the same fragments are looked at once.
        """
        from hwnasbench.networks.memory import peak_bytes

        first: dict[bytes, int] = {}
        for row, vector in enumerate(vectors):
            if not total["layers"][row]:
                continue
            same = first.setdefault(codes[row].tobytes(), row)
            if same != row:
                for name in ("peak_memory", "latency"):
                    total[name][row] = total[name][same]
                continue
            network = space.network(vector, dataset)
            network = executed(network, self.runs)
            if self.precision == PER_LAYER:
                total["peak_memory"][row] = (peak_bytes(network) * self.batch + scratch[row]) / 1024
            if not self.model.sequential:
                costs = self.model.cost(Layers(self._with_bits(network.layers), self.batch), self.values)
                total["latency"][row] = self.model.network_latency(network, costs, self.values, self.batch)

    def _answers(self, total: dict[str, NDArray[np.float64]]) -> dict[str, Simulated]:
        n = len(total["latency"])
        status = np.full(n, _OK, np.uint8)
        status[~self.model.fits(self.values, total["peak_memory"], total["model_size"])] = _DOES_NOT_FIT
        status[total["unsupported"] > 0] = _UNSUPPORTED
        status[total["layers"] == 0] = _DISCONNECTED
        disconnected = np.where(total["layers"] == 0, _DISCONNECTED, _OK).astype(np.uint8)
        with np.errstate(divide="ignore", invalid="ignore"):
            total["throughput"] = self.batch / total["latency"] * 1000
            total["utilisation"] = total["ideal"] / total["latency"]
        constants = {"area": self.model.area(self.values), **self.model.resources(self.values)}
        out = {}
        for metric in self.metrics:
            if metric in total:
                own = disconnected if metric in _NEEDS else status
                out[metric] = Simulated(np.where(own == _OK, total[metric], np.nan), own)
            elif constants.get(metric) is not None:
                out[metric] = Simulated(np.full(n, float(constants[metric])), np.full(n, _OK, np.uint8))
        return out


def simulate(network: Network, device: Device, precision: str | None = None, batch: int = 1) -> dict[str, float | str]:
    """Simulate one network.

    Parameters
    ----------
    network : Network
        Dead layers cost nothing where the device does not run them.
    device : Device
    precision : str, optional
    batch : int

    Returns
    -------
    dict of str to float or str
        Metric to value, in the metric's unit, or to the status that stands for it.
    """
    simulator = Simulator(device, precision, batch)
    return {
        metric: float(found.values[0]) if found.status[0] == _OK else STATUSES[found.status[0]]
        for metric, found in simulator.many(_One(network), np.zeros((1, 0), np.int8), network.dataset).items()  # type: ignore[arg-type]
    }


class _One:
    """A space of one network."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def network(self, arch: Any, dataset: str) -> Network:
        return self._network

    def compose(self, vectors: Any, dataset: str, runs: str) -> Any:
        from hwnasbench.spaces.fragments import compose_networks

        return compose_networks(self, vectors, dataset, runs)  # type: ignore[arg-type]


def _sums(values: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the sum over the rows of each fragment; 0 for an empty one."""
    running = np.concatenate(([0.0], values))
    lengths = np.diff(starts)
    out = np.zeros(len(lengths))
    filled = lengths > 0
    if filled.any():
        out[filled] = np.add.reduceat(running[1:], starts[:-1][filled])
    return out


def _largest(values: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    lengths = np.diff(starts)
    out = np.zeros(len(lengths))
    filled = lengths > 0
    if filled.any():
        out[filled] = np.maximum.reduceat(values, starts[:-1][filled])
    return out


def _gather(fragments: NDArray[np.float64], parts: Any) -> NDArray[np.float64]:
    out = np.zeros(len(parts.codes))
    for slot, weight in enumerate(np.asarray(parts.weights).tolist()):
        out += weight * fragments.take(parts.codes[:, slot])
    return out


def _gather_largest(fragments: NDArray[np.float64], parts: Any) -> NDArray[np.float64]:
    out = np.zeros(len(parts.codes))
    if fragments.any():
        for slot in range(parts.codes.shape[1]):
            np.maximum(out, fragments.take(parts.codes[:, slot]), out=out)
    return out
