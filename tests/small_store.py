"""A store of made-up columns, small enough to say by hand what each rule must answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hwnasbench import spaces
from hwnasbench.tables.schema import LOOKUPS
from hwnasbench.tables.store_builder import build_store
from hwnasbench.tables.write import ColumnData, concat, write_table
from hwnasbench.vocabulary import STATUSES

SPACE = spaces.get("nasbench201")
ARCHS = [SPACE.format(index) for index in range(len(SPACE))]
CONNECTED = np.array([SPACE.is_connected(index) for index in range(len(SPACE))])
DISCONNECTED = int(np.flatnonzero(~CONNECTED)[0])
SOURCES = {
    name: {"title": name, "citation": f"@misc{{{name}, title = {{{name}}}}}", "priority": priority, "licence": "MIT"}
    for name, priority in (
        ("low", 1),
        ("hwnasbench-counts", 0),
        ("high", 9),
        ("accuracies", 5),
        ("partial", 5),
        ("mixed", 5),
        ("model", 5),
    )
}


def column(base: float, *, source: str, kind: str = "measured", metric: str = "latency", **given: Any) -> ColumnData:
    """A column whose value at index i is base + i / 1000."""
    rows = given.pop("rows", None)
    index = np.arange(len(ARCHS)) if rows is None else np.asarray(rows)
    values = base + index / 1000
    status = np.full(len(index), STATUSES.index("ok"), np.int8)
    if metric in ("latency", "energy"):
        status[~CONNECTED[index]] = STATUSES.index("disconnected")
    values[status != 0] = np.nan
    extra = {name: given.pop(name) for name in ("std", "noise", "n", "kinds", "flags", "of") if name in given}
    archs = [ARCHS[i] for i in index]
    return ColumnData("nasbench201", metric, source, kind, archs, values, index, status, given, **extra)


def columns() -> list[ColumnData]:
    device = {"dataset": "cifar10", "batch": 1}
    pixel3 = {**device, "device": "pixel3", "engine": "tflite", "precision": "fp32"}
    top = {"dataset": "cifar10", "precision": "fp32", "split": "test", "recipe": "standard", "epochs": 200}
    mixed = ["measured" if i % 2 else "estimated" for i in range(len(ARCHS))]
    copied = [None if i % 2 else "copied" for i in range(len(ARCHS))]
    return [
        # pixel3: one column a kind and source, so that trust and priority decide.
        column(10, source="low", **pixel3, std=np.full(len(ARCHS), 0.5),
               noise=np.arange(len(ARCHS)) / 8, n=3),
        column(20, source="high", **pixel3),
        column(30, source="high", kind="simulated", **{**pixel3, "engine": "torch"}),
        column(40, source="model", kind="predicted", of="measured", **pixel3),
        column(15, source="high", **{**pixel3, "batch": 32}),
        # raspi4: estimated only on cifar100, so that another data set stands in.
        column(50, source="low", kind="estimated", device="raspi4", dataset="cifar100", engine="tflite",
               precision="fp32", batch=1),
        # raspi5: three data sets, none the default.
        *(column(60 + i, source="low", device="raspi5", dataset=d, engine="litert", precision="fp32", batch=1,
                 threads=1)
          for i, d in enumerate(("cifar100", "ninapro", "darcy"))),
        # edgetpu: int8; jetson_tx2: 5 rows only, and predictions for all.
        column(70, source="low", **{**device, "device": "edgetpu", "precision": "int8"}),
        column(80, source="partial", rows=range(5), **{**device, "device": "jetson_tx2", "precision": "fp32",
                                                      "engine": "tensorrt"}),
        column(90, source="model", kind="predicted", of="measured", **{**device, "device": "jetson_tx2",
               "precision": "fp32", "engine": "tensorrt"}),
        # pixel2: every second row is a copy.
        column(100, source="mixed", kinds=mixed, flags=copied, **{**device, "device": "pixel2", "precision": "fp32"}),
        # A published count and our own.
        column(9, source="partial", metric="params", kind="estimated", dataset="cifar10"),
        column(10, source="hwnasbench-counts", metric="params", kind="simulated", dataset="cifar10"),
        column(1, source="accuracies", metric="accuracy", **top),
        column(2, source="accuracies", metric="accuracy", **{**top, "split": "valid"}),
        column(3, source="accuracies", metric="accuracy", **{**top, "epochs": 12}),
        column(4, source="accuracies", metric="accuracy", **{**top, "precision": "int8", "recipe": "ptq"}),
        column(5, source="accuracies", metric="accuracy", **{**top, "precision": "int8", "recipe": "qat"}),
        column(6, source="accuracies", metric="accuracy", **{**top, "dataset": "cifar100"}),
        # Below 8 bits there is another training, of two lengths.
        *(column(base, source="accuracies", metric="accuracy",
                 **{**top, "precision": "w4a8", "recipe": "mpnas201", "epochs": epochs})
          for base, epochs in ((7, 150), (8, 50))),
    ]  # fmt: skip


def predictions() -> ColumnData:
    """Predictions of the source that measured jetson_tx2 in part; they come in a store of their own."""
    keys = {"dataset": "cifar10", "batch": 1, "device": "jetson_tx2", "precision": "fp32", "engine": "tensorrt"}
    return column(85, source="partial", kind="predicted", of="measured", **keys)


def lookups() -> pa.Table:
    """Two additive models over FBNet: cost = position + choice / 10, and the exponential of a small one."""
    base = {
        "space": "fbnet", "dataset": "cifar100", "engine": "tflite", "batch": 1, "precision": "fp32", "std": 0.25,
        "kind": "predicted", "of": "measured", "source": "model", "device": "pixel3", "metric": "latency",
        "link": "identity",
    }  # fmt: skip
    rows = [{**base, "position": p, "choice": c, "value": p + c / 10} for p in range(22) for c in range(9)]
    rows.append({**base, "position": -1, "choice": -1, "value": 2.0})
    small = {**base, "device": "raspi4", "link": "exp"}
    rows += [{**small, "position": p, "choice": c, "value": c / 100} for p in range(22) for c in range(9)]
    rows.append({**small, "position": -1, "choice": -1, "value": 0.5})
    filled = [{name: row.get(name) for name in LOOKUPS.names} for row in rows]
    return pa.Table.from_pylist(filled, schema=pa.schema([(f.name, f.type) for f in LOOKUPS])).cast(LOOKUPS)


def write_tables(folder: Path) -> list[Path]:
    paths = [folder / "tables" / "observations.parquet", folder / "tables" / "lookups.parquet"]
    write_table(concat(c.to_table() for c in columns()), paths[0])
    write_table(lookups(), paths[1])
    return paths


def build(folder: Path) -> Path:
    build_store(write_tables(folder), folder / "store", "test", SOURCES, folder)
    return folder / "store"
