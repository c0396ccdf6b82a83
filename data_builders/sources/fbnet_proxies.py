"""Zero-cost proxies, parameters and operations of 5,000 FBNet networks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from data_builders.rows import listed_column
from hwnasbench import spaces
from hwnasbench.errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData

#: Name in the file: our metric.
METRICS = {
    "synflow": "synflow",
    "zen": "zen",
    "epe_nas": "epe_nas",
    "fisher": "fisher",
    "flops": "flops",
    "grad_norm": "grad_norm",
    "grasp": "grasp",
    "jacov": "jacob_cov",
    "l2_norm": "l2_norm",
    "nwot": "naswot",
    "params": "params",
    "plain": "plain",
    "snip": "snip",
}


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield one column a proxy."""
    path = files.path("fbnet_zcp/zc_fbnet.json")
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{path} is no whole JSON file: {error}") from error
    space = spaces.get("fbnet")
    archs = [space.format(text) for text in table]
    for name, metric in METRICS.items():
        values = [scores[name] for scores in table.values()]
        yield listed_column(
            "fbnet", "fbnet_proxies", metric, archs, values, kind="estimated", keys={"dataset": "cifar100"}
        )
