"""Cost models: a layer table and a device in; latency, energy, area and memory out.

>>> from hwnasbench import spaces
>>> from hwnasbench.costs.simulate import simulate
>>> from hwnasbench.devices import catalog
>>> network = spaces.get("nasbench201").network(6111, "cifar10")
>>> sorted(simulate(network, catalog()["eyeriss"]))[:2]
['area', 'energy']
"""

from __future__ import annotations

from hwnasbench.errors import UnknownName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from hwnasbench.costs.base import CostModel, Values
    from hwnasbench.devices import Device

__all__ = ["model", "names", "values_of"]

#: One line a model: its name and where its class lives.
_REGISTRY = {
    "roofline": ("hwnasbench.costs.roofline", "Roofline"),
    "multi_gpu": ("hwnasbench.costs.multi_gpu", "MultiGpu"),
    "systolic": ("hwnasbench.costs.systolic", "Systolic"),
    "eyeriss": ("hwnasbench.costs.eyeriss", "Eyeriss"),
    "fpga": ("hwnasbench.costs.fpga", "Fpga"),
    "mcu": ("hwnasbench.costs.mcu", "Mcu"),
    "npu": ("hwnasbench.costs.npu", "Npu"),
    "crossbar": ("hwnasbench.costs.crossbar", "Crossbar"),
    "imc": ("hwnasbench.costs.imc", "InMemory"),
}
_INSTANCES: dict[str, CostModel] = {}


def names() -> list[str]:
    """Return the names of the registered cost models, sorted."""
    return sorted(_REGISTRY)


def model(name: str) -> CostModel:
    """Return the cost model called `name`.

    Raises
    ------
    UnknownName
        When no cost model has that name.
    """
    found = _INSTANCES.get(name)
    if found is None:
        if name not in _REGISTRY:
            raise UnknownName("cost model", name, _REGISTRY)
        import importlib

        module, attribute = _REGISTRY[name]
        found = _INSTANCES[name] = getattr(importlib.import_module(module), attribute)()
    return found


def values_of(device: Device, replaced: Mapping[str, Any] | None = None) -> Values:
    """Return the parameters of a device's cost model as numbers, those in `replaced` replaced.

    Raises
    ------
    NoColumn
        When the device has no cost model.
    InvalidRequest
        When parameters contradict each other.
    """
    own = {name: record["value"] for name, record in device.parameters().items()}
    return model(device.cost["model"]).values({**own, **(replaced or {})})
