"""From the summary of a campaign to the rows of a tidy table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.tables.write import ColumnData
from hwnasbench.vocabulary import STATUSES

if TYPE_CHECKING:
    import pandas as pd

    from hwnasbench.spaces import Space

#: The source of what users measured themselves.
OWN = "own"


def columns(
    space: Space, summary: pd.DataFrame, device: str, keys: dict[str, Any], passes: int, source: str = OWN
) -> list[ColumnData]:
    """Return the latency and, where they were read, energy and memory of the networks that were timed.

    Parameters
    ----------
    space : Space
    summary : pandas.DataFrame
        Of `data_builders.measure.summary.frame`; of one data set. Columns ``peak_bytes`` and ``arena_bytes`` are
        optional.
    device : str
    keys : dict
        ``dataset``, ``engine``, ``threads``, ``batch``, ``precision``.
    passes : int
        Processes behind each value.
    source : str

    Returns
    -------
    list of ColumnData
        Of kind measured; ``noise`` is the standard deviation over processes.
    """
    archs = [space.parse(name) for name in summary["name"]]
    words = [status.partition(":")[0] for status in summary["status"]]
    status = np.array([STATUSES.index(word) for word in words], np.int8)
    shared: dict[str, Any] = {
        "archs": [space.format(arch) for arch in archs],
        "arch_index": np.array([arch.index for arch in archs]) if space.enumerable else None,
        "status": status,
        "keys": {**keys, "device": device},
    }
    value, noise = (summary[name].to_numpy(float) for name in ("value", "noise"))
    out = [ColumnData(space.name, "latency", source, "measured", values=value, noise=noise, n=passes, **shared)]
    ok = status == STATUSES.index("ok")
    more = {"energy": summary["joules"].to_numpy(float) * 1e3}
    for metric, name in (("peak_memory", "peak_bytes"), ("arena_memory", "arena_bytes")):
        if name in summary:
            more[metric] = summary[name].to_numpy(float) / 1024
    for metric, values in more.items():
        if ok.any() and np.isfinite(values[ok]).all():
            repeats = passes if metric == "energy" else 1
            out.append(ColumnData(space.name, metric, source, "measured", values=values, n=repeats, **shared))
    return out
