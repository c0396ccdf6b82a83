"""Objectives: how metrics become what a search is after.

Their equations are numbered as in K. T. Chitty-Venkata and A. K. Somani, Neural Architecture Search Survey: A Hardware
Perspective, ACM Computing Surveys 55(4), 2022, "the survey". What a cost is divided by is always an argument, never a
minimum or maximum of the space, which no search could know.

>>> from hwnasbench.search import objectives
>>> made = objectives.make({"name": "mnasnet", "target": 10.0})
>>> made.metrics
('accuracy', 'latency')
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from hwnasbench.errors import InvalidRequest, UnknownName
from hwnasbench.search.objectives.base import Constrained, Front, Metric, Objective
from hwnasbench.search.objectives.function import Function
from hwnasbench.search.objectives.products import Codesign, EnergyDelay, MnasNet, Nahas, PerformancePerArea
from hwnasbench.search.objectives.several import Devices, FaultTolerant
from hwnasbench.search.objectives.sums import Apnas, Monas, Weighted

__all__ = [
    "Apnas", "Codesign", "Constrained", "Devices", "EnergyDelay", "FaultTolerant", "Front", "Function", "Metric",
    "MnasNet", "Monas", "Nahas", "Objective", "PerformancePerArea", "Weighted", "get", "make", "names",
]  # fmt: skip

#: One line an objective that a study's file can name.
_REGISTRY: dict[str, type[Objective]] = {
    "apnas": Apnas,
    "codesign": Codesign,
    "devices": Devices,
    "energy_delay": EnergyDelay,
    "fault_tolerant": FaultTolerant,
    "function": Function,
    "metric": Metric,
    "mnasnet": MnasNet,
    "monas": Monas,
    "nahas": Nahas,
    "performance_per_area": PerformancePerArea,
    "weighted": Weighted,
}
#: An objective of several metrics, whose settings are their names.
_FRONT = "front"


def names() -> list[str]:
    """Return the names of the objectives that `make` knows, sorted."""
    return sorted([*_REGISTRY, _FRONT])


def get(name: str) -> type[Objective]:
    """Return the objective called `name`.

    Raises
    ------
    UnknownName
    """
    if name == _FRONT:
        return Front
    try:
        return _REGISTRY[name]
    except (KeyError, TypeError):
        raise UnknownName("objective", name, names()) from None


def make(record: Mapping[str, Any]) -> Objective:
    """Make an objective of a plain record, as a study's file has it.

    Parameters
    ----------
    record : mapping
        ``name``; the objective's settings (of a front ``metrics``, of a function ``MODULE:FUNCTION`` and ``metrics``);
        ``limits``, optional, makes it `Constrained`.

    Raises
    ------
    UnknownName
        When the name or a setting is unknown.
    InvalidRequest
        When a setting is missing or out of range.
    """
    if not isinstance(record, Mapping):
        raise InvalidRequest(f"objective={record!r}; expected a table, such as {{'name': 'metric'}}")
    settings = dict(record)
    if "name" not in settings:
        raise InvalidRequest(f"an objective needs a name; expected one of {', '.join(names())}")
    name, limits = settings.pop("name"), settings.pop("limits", None)
    made = _front(settings) if name == _FRONT else _made(name, settings)
    return made if limits is None else Constrained(made, limits)


def _made(name: str, settings: dict[str, Any]) -> Objective:
    kind = get(name)
    known = inspect.signature(kind).parameters
    for setting in settings:
        if setting not in known:
            raise UnknownName(f"setting of {name}", setting, [*known, "limits"])
    for setting, parameter in known.items():
        if parameter.default is parameter.empty and setting not in settings:
            raise InvalidRequest(f"{name} needs {setting}")
    return kind(**settings)


def _front(settings: dict[str, Any]) -> Objective:
    for setting in settings:
        if setting != "metrics":
            raise UnknownName(f"setting of {_FRONT}", setting, ("metrics", "limits"))
    metrics = settings.get("metrics", ())
    if isinstance(metrics, str):
        raise InvalidRequest(f"metrics={metrics!r}; expected a list of metrics")
    return Front(*metrics)
