"""HW-NAS-Bench-360: latency, energy and accuracy of NAS-Bench-201 on a Raspberry Pi 5 and a Pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_builders.rows import cell_column, cells
from hwnasbench.errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData

ENGINES = {"litert": "litert", "onnx": "onnxruntime", "torchmobile": "torchmobile"}
DEVICES = {"pi5": "raspi5", "pixel": "pixel_unnamed"}
#: Timed runs behind a median and a variance (WARMUP 10, TIMED 40 in scripts/pi/bench.py).
TIMED = 40


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield latency and energy of every device, engine and task, then the accuracies."""
    path = files.path("results/dataset.parquet")
    try:
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise CorruptFile(f"{path} cannot be read as Parquet: {error}") from error
    for dataset in ("cifar100", "ninapro", "darcy"):
        for name, device in DEVICES.items():
            for framework, engine in ENGINES.items():
                part = _part(table, name, framework, dataset)
                if part is None:
                    continue
                copied = part["rep_arch_idx"] != part["arch_idx"]
                pi = device == "raspi5"
                keys: dict[str, str | int | None] = {
                    "dataset": dataset,
                    "device": device,
                    "engine": engine,
                    "batch": 1,
                    "precision": "fp32",
                    # The Pi's script pins one core and one thread.
                    "threads": 1 if pi else None,
                }
                caveats = () if pi else ("assumed:precision", "assumed:batch")
                row = _per_row(copied, caveats)
                noise = np.sqrt(part["lat_ms_var"]) if pi else None
                n = TIMED if pi else None
                latency = _positive(part["lat_ms_median"], "lat_ms_median")
                yield cell_column(
                    "hwnasbench360", "latency", latency, kind="measured", keys=keys, noise=noise, n=n, **row
                )
                if pi:
                    energy = _positive(part["energy_mj"], "energy_mj")
                    yield cell_column("hwnasbench360", "energy", energy, kind="measured", keys=keys, **row)
    yield from _accuracies(table)


def _accuracies(table: pa.Table) -> Iterator[ColumnData]:
    # The same accuracy stands beside every device and engine; it is each cell's own, not a copy.
    for dataset, recipe, epochs in (("cifar100", "standard", 200), ("ninapro", "nasbench360", None)):
        part = _part(table, "pi5", "litert", dataset)
        if part is None:
            raise CorruptFile(f"dataset.parquet has no rows of {dataset}")
        yield cell_column(
            "hwnasbench360",
            "accuracy",
            part["accuracy"],
            kind="measured",
            keys={"dataset": dataset, "precision": "fp32", "split": "test", "recipe": recipe, "epochs": epochs},
        )


def _per_row(copied: NDArray[np.bool_], caveats: tuple[str, ...]) -> dict[str, Any]:
    plain = ";".join(sorted(caveats)) or None
    marked = ";".join(sorted(("copied", *caveats)))
    return {
        "kinds": np.where(copied, "estimated", "measured").tolist(),
        "row_flags": [marked if c else plain for c in copied],
    }


def _positive(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    if not (values > 0).all():
        raise CorruptFile(f"dataset.parquet holds a {name} that is not positive")
    return values


def _part(table: pa.Table, device: str, framework: str, task: str) -> dict[str, NDArray[Any]] | None:
    """Return the rows of one device, engine and task in published order."""
    here = pc.and_(
        pc.and_(pc.equal(table["device"], device), pc.equal(table["framework"], framework)),
        pc.and_(pc.equal(table["task"], task), pc.equal(table["status"], "ok")),
    )
    part = table.filter(here).sort_by("arch_idx")
    if not part.num_rows:
        return None
    out = {name: part[name].to_numpy() for name in part.column_names if name not in {"device", "framework", "task"}}
    if not np.array_equal(out["arch_idx"], np.arange(len(cells().archs))):
        raise CorruptFile(f"dataset.parquet does not hold each architecture once for {device}, {framework}, {task}")
    return out
