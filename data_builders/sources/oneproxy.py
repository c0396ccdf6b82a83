"""Latency tables of OneProxy: 1,999 NAS-Bench-201 cells, 16 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_builders.pickles import load
from data_builders.rows import cell_column, nasbench201
from hwnasbench.errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData

_PRECISION = "assumed:precision"
_DATASET = "assumed:dataset"
#: File: (device, engine, precision, kind, flags). eagle_gtx and eagle_tpu are left out; see the TOML file.
FILES: dict[str, tuple[str, str | None, str, str, tuple[str, ...]]] = {
    "rice_edgegpu": ("jetson_tx2", "tensorrt", "fp32", "measured", ()),
    "rice_edgetpu": ("edgetpu", None, "int8", "measured", (_PRECISION,)),
    "rice_pixel3": ("pixel3", "tflite", "fp32", "measured", (_PRECISION,)),
    "rice_raspi4": ("raspi4", "tflite", "fp32", "measured", (_PRECISION,)),
    "rice_eyeriss": ("eyeriss", None, "int16", "estimated", (_PRECISION,)),
    "rice_fpga": ("fpga", None, "int16", "estimated", (_PRECISION,)),
    "eagle_cpu_855": ("kryo_485", None, "int8", "measured", (_DATASET,)),
    "eagle_dsp_855": ("hexagon_690", None, "int8", "measured", (_DATASET,)),
    "eagle_gpu_855": ("adreno_640", None, "int8", "measured", (_DATASET,)),
    "eagle_i7": ("i7_7820x", None, "fp32", "measured", (_DATASET,)),
    "eagle_jetson": ("jetson_nano", None, "fp32", "measured", (_DATASET,)),
    "eagle_jetson_16": ("jetson_nano", None, "fp16", "measured", (_DATASET,)),
    "true_630": ("adreno_630", None, "fp32", "measured", (_DATASET, _PRECISION)),
    "true_640": ("adreno_640", None, "fp32", "measured", (_DATASET, _PRECISION)),
    "true_a76": ("cortex_a76", None, "fp32", "measured", (_DATASET, _PRECISION)),
    "true_vpu": ("myriad_vpu", None, "fp16", "measured", (_DATASET, _PRECISION)),
}


def rows(files: Folder) -> NDArray[np.intp]:
    """Return the published index of each of the 1,999 rows, from their one-hot code."""
    code = np.asarray(load(files.path("encode.pickle")))
    if code.ndim != 2 or code.shape[1] != 31:
        raise CorruptFile(f"encode.pickle has shape {code.shape}; expected (n, 31)")
    # Six groups of five, one an edge, then a constant 1.
    groups = code[:, :30].reshape(-1, 6, 5)
    if not ((groups == 0) | (groups == 1)).all() or not (groups.sum(axis=2) == 1).all():
        raise CorruptFile("encode.pickle is not one-hot")
    return nasbench201().indices(groups.argmax(axis=2))


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield one column a latency file."""
    index = rows(files)
    for name, (device, engine, precision, kind, flags) in FILES.items():
        values = np.array(load(files.path(f"latency_data/{name}.pickle")), np.float64)
        # HW-NAS-Bench writes -1 where the Edge TPU's compiler refused the network.
        failed = values == -1 if name == "rice_edgetpu" else None
        if failed is not None:
            values[failed] = np.nan
        if not (values[~np.isnan(values)] > 0).all():
            raise CorruptFile(f"{name}.pickle holds a latency that is not positive")
        yield cell_column(
            "oneproxy",
            "latency",
            values,
            rows=index,
            failed=failed,
            kind=kind,
            keys={"dataset": "cifar10", "device": device, "engine": engine, "batch": 1, "precision": precision},
            flags=flags,
        )
