"""Studies: searchers x seeds on problems, their trajectories, statistics, pictures and report.

>>> from hwnasbench import studies
>>> study = studies.read("study.toml")                         # doctest: +SKIP
>>> studies.run(study, "results", jobs=2)                      # doctest: +SKIP
"""

from __future__ import annotations

import importlib

__all__ = ["Study", "read", "report", "run"]
_HOMES = {
    "Study": ("spec", "Study"),
    "read": ("spec", "read"),
    "run": ("runner", "run"),
    "report": ("results", "write"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
