"""What every cost model offers: layers and parameters in, latency, energy, area and memory out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.costs.layers import LayerCosts, Layers
from hwnasbench.devices.parameters import parameters
from hwnasbench.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwnasbench.costs.layers import Floats
    from hwnasbench.networks import Network

#: Layers that are costed at a time, so that the columns stay in the processor's cache.
CHUNK = 16384


class Values(SimpleNamespace):
    """The parameters of a device by name: a float each, or an array aligned with the layers.

    A parameter that is a word is the position of the word among its choices.
    """

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class CostModel:
    """Base of every cost model. A subclass fills in the facts and `cost`.

    Attributes
    ----------
    name : str
        The registered name, and that of its file of parameters in ``hwnasbench/devices/models``.
    sequential : bool
        Whether the latency of a network is the sum of its layers'.
    """

    name: str = ""
    sequential: bool = True

    def cost(self, layers: Layers, values: Values) -> LayerCosts:
        """Return the cost of every layer.

        Parameters
        ----------
        layers : Layers
        values : Values
            Each a float, or an array with one entry a layer (many designs at once).

        Returns
        -------
        LayerCosts
        """
        raise NotImplementedError

    def peak_macs(self, values: Values, weight_bits: Any, activation_bits: Any) -> Any:
        """Return the multiply-accumulates a millisecond that the arithmetic could do at best."""
        raise NotImplementedError

    def area(self, values: Values) -> Any:
        """Return the silicon area in mm2, or None where no model gives it."""
        return None

    def resources(self, values: Values) -> dict[str, Any]:
        """Return the ``dsp``, ``lut`` and ``bram`` of an FPGA design; empty elsewhere."""
        return {}

    def overhead(self, values: Values) -> float:
        """Return the milliseconds that an inference call costs before its first layer."""
        return 0.0

    def check(self, values: Values) -> None:
        """Refuse a design that cannot be built.

        Raises
        ------
        InvalidRequest
            When parameters contradict each other.
        """

    def excess(self, values: Values, peak_kib: Any, model_kib: Any) -> dict[str, Any]:
        """Return the KiB by which a network is larger than each memory of the device; 0 or less where it fits.

        Parameters
        ----------
        values : Values
        peak_kib, model_kib : float or (n,) ndarray
            Largest activations and scratch at any time of an inference; weights.
        """
        return {}

    def fits(self, values: Values, peak_kib: Any, model_kib: Any) -> Any:
        """Return whether networks fit every memory; the arguments are those of `excess`."""
        found = np.ones(np.shape(peak_kib), np.bool_)
        for kib in self.excess(values, peak_kib, model_kib).values():
            found = found & (kib <= 0)
        return found

    def shortfall(self, values: Values, peak_kib: float, model_kib: float) -> dict[str, float]:
        """Return by how many KiB a network is too large, for each memory that is too small; empty where it fits."""
        return {name: float(kib) for name, kib in self.excess(values, peak_kib, model_kib).items() if kib > 0}

    def workspace(self, layers: Layers, values: Values) -> Floats:
        """Return the bytes of scratch memory that each layer needs beside its tensors."""
        return np.zeros(len(layers))

    def network_latency(self, network: Network, costs: LayerCosts, values: Values, batch: int) -> float:
        """Return the milliseconds of one call on a live network: here the sum over its layers."""
        return float(costs.latency.sum()) + self.overhead(values)

    def values(self, given: Mapping[str, Any], arrays: bool = False) -> Values:
        """Return the parameters as numbers.

        Parameters
        ----------
        given : mapping
            Name to value; what is not named takes the default. With `arrays`, values may be
            arrays of numbers (codes of words), unchecked.
        """
        known = parameters(self.name)
        out: dict[str, Any] = {}
        for key, parameter in known.items():
            value = given.get(key, parameter.value)
            is_array = arrays and isinstance(value, np.ndarray)
            out[key] = value if is_array else parameter.code(parameter.check(value))
        values = Values(**out)
        if not arrays:
            self.check(values)
        return values


def require(condition: bool, message: str) -> None:
    """Raise `InvalidRequest` unless a design is possible."""
    if not condition:
        raise InvalidRequest(message)


def chunked(model: CostModel, table: Any, values: Values, batch: int = 1) -> LayerCosts:
    """Cost a large table chunk by chunk.

    Parameters
    ----------
    model : CostModel
    table : (n,) ndarray of LAYER
    values : Values
        Floats, or arrays with one entry a layer.
    batch : int
    """
    n = len(table)
    if n <= CHUNK:
        return model.cost(Layers(table, batch), values)
    arrays = {k: v for k, v in vars(values).items() if isinstance(v, np.ndarray) and v.ndim}
    names = ("latency", "mac", "register", "buffer", "dram", "static")
    out = {name: np.empty(n) for name in names}
    supported: Any = None
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        sliced = Values(**{**vars(values), **{k: v[part] for k, v in arrays.items()}}) if arrays else values
        costs = model.cost(Layers(table[part], batch), sliced)
        for name in names:
            out[name][part] = getattr(costs, name)
        if costs.supported is not None:
            supported = np.ones(n, bool) if supported is None else supported
            supported[part] = costs.supported
    return LayerCosts(**out, supported=supported)
