"""HW-NAS-Bench's own pickle: NAS-Bench-201 on six devices and three data sets, and FBNet's block tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.pickles import load
from data_builders.rows import cell_column
from hwnasbench.errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData

_DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
_PRECISION = ("assumed:precision",)
#: Key: (device, metric, engine, precision, kind, flags).
METRICS: dict[str, tuple[str, str, str | None, str, str, tuple[str, ...]]] = {
    "edgegpu_latency": ("jetson_tx2", "latency", "tensorrt", "fp32", "measured", ()),
    "edgegpu_energy": ("jetson_tx2", "energy", "tensorrt", "fp32", "measured", ()),
    "raspi4_latency": ("raspi4", "latency", "tflite", "fp32", "measured", _PRECISION),
    "edgetpu_latency": ("edgetpu", "latency", None, "int8", "measured", _PRECISION),
    "pixel3_latency": ("pixel3", "latency", "tflite", "fp32", "measured", _PRECISION),
    "eyeriss_latency": ("eyeriss", "latency", None, "int16", "estimated", _PRECISION),
    "eyeriss_energy": ("eyeriss", "energy", None, "int16", "estimated", _PRECISION),
    "fpga_latency": ("fpga", "latency", None, "int16", "estimated", _PRECISION),
    "fpga_energy": ("fpga", "energy", None, "int16", "estimated", _PRECISION),
}
#: Index 0 at CIFAR-10, as the repository's README prints it.
SAMPLE = {
    "edgegpu_latency": 5.807418537139893,
    "edgegpu_energy": 24.226614330768584,
    "raspi4_latency": 10.481976820010459,
    "edgetpu_latency": 0.9571811309997429,
    "pixel3_latency": 3.6058499999999998,
    "eyeriss_latency": 3.645620000000001,
    "eyeriss_energy": 0.6872827644999999,
    "fpga_latency": 2.57296,
    "fpga_energy": 18.01072,
}


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield one column a data set and metric of NAS-Bench-201.

    Raises
    ------
    CorruptFile
        When the layout differs, or the file disagrees with the published sample.
    """
    path = files.path("HW-NAS-Bench-v1_0.pickle")
    content = load(path)
    table = _at(content, path, "nasbench201")
    for key, expected in SAMPLE.items():
        found = float(_at(table, path, "cifar10", key)[0])
        if found != expected:
            raise CorruptFile(f"{path}: {key} of index 0 at cifar10 is {found!r}; published is {expected!r}")
    for dataset in _DATASETS:
        for key, (device, metric, engine, precision, kind, flags) in METRICS.items():
            values = np.array(_at(table, path, dataset, key), np.float64)
            failed = values == -1 if device == "edgetpu" else np.zeros(values.shape, np.bool_)
            if (values[~failed] < 0).any():
                raise CorruptFile(f"{path}: {key} at {dataset} holds a negative value")
            values[failed] = np.nan
            yield cell_column(
                "hwnasbench",
                metric,
                values,
                failed=failed,
                kind=kind,
                keys={"dataset": dataset, "device": device, "engine": engine, "batch": 1, "precision": precision},
                flags=flags,
            )


def _at(content: Any, path: object, *keys: str) -> Any:
    for key in keys:
        if not isinstance(content, dict) or key not in content:
            raise CorruptFile(f"{path}: {' / '.join(keys)} is not where HW-NAS-Bench's layout has it")
        content = content[key]
    return content
