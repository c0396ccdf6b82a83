"""HW-NAS-Bench's own pickle: NAS-Bench-201 on six devices and three data sets, and FBNet's block tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from data_builders.pickles import load
from data_builders.rows import cell_column, lookup_table
from hwnasbench.errors import CorruptFile
from hwnasbench.spaces.fbnet import MACROS, OPERATORS, SKIP, STAGE_BLOCKS, STAGE_CHANNELS, STEM_CHANNELS

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


def lookups(files: Folder) -> dict[str, pa.Table]:
    """Return FBNet's block tables: one cost a position and operator, and what every network has.

    Raises
    ------
    CorruptFile
        When a block of the space is not in the file.
    """
    path = files.path("HW-NAS-Bench-v1_0.pickle")
    content = _at(load(path), path, "fbnet")
    tables = []
    for key, (device, metric, engine, precision, _, flags) in METRICS.items():
        if device == "edgetpu":
            continue  # The Edge TPU was not measured block by block.
        costs = _at(content, path, key)
        for dataset in MACROS:
            rows = [(position, choice, float(_at(costs, path, name))) for position, choice, name in blocks(dataset)]
            fixed = sum(float(_at(costs, path, name)) for name in fixed_blocks(dataset))
            record = {
                "space": "fbnet",
                "dataset": dataset,
                "device": device,
                "engine": engine,
                "batch": 1,
                "precision": precision,
                "metric": metric,
                # Every value of a network is a sum of its blocks', whatever those are.
                "kind": "estimated",
                "source": "hwnasbench",
                "flags": ";".join(flags) or None,
                "link": "identity",
            }
            tables.append(lookup_table(record, [(-1, -1, fixed), *rows]))
    return {"fbnet": pa.concat_tables(tables).unify_dictionaries().combine_chunks()}


def blocks(dataset: str) -> Iterator[tuple[int, int, str]]:
    """Yield (position, operator, key in the file) of every searchable block at a data set."""
    macro = MACROS[dataset]
    size, inputs, position = macro.resolution // macro.stem_stride, STEM_CHANNELS, 0
    for count, outputs, first_stride in zip(STAGE_BLOCKS, STAGE_CHANNELS, macro.stage_strides, strict=True):
        for block in range(count):
            stride = first_stride if block == 0 else 1
            shape = f"H{size}_W{size}_Cin{inputs}_Cout{outputs}"
            for choice, operator in enumerate(OPERATORS):
                if choice == SKIP:
                    yield position, choice, f"Skip_{shape}_stride{stride}"
                else:
                    kernel, expansion, group = int(operator[1]), int(operator[4]), 2 if operator.endswith("g2") else 1
                    name = f"ConvBlock_{shape}_exp{expansion}_kernel{kernel}_stride{stride}_group{group}"
                    yield position, choice, name
            size //= stride
            inputs = outputs
            position += 1


def fixed_blocks(dataset: str) -> list[str]:
    """Return the keys of what every network has: stem, header, pooling and classifier."""
    macro = MACROS[dataset]
    size = macro.resolution // macro.stem_stride
    for stride in macro.stage_strides:
        size //= stride
    return [
        f"ConvNorm_H{macro.resolution}_W{macro.resolution}_Cin3_Cout{STEM_CHANNELS}_kernel3"
        f"_stride{macro.stem_stride}_group1",
        f"ConvNorm_H{size}_W{size}_Cin{STAGE_CHANNELS[-1]}_Cout{macro.header}_kernel1_stride1_group1",
        f"AvgP_H{size}_W{size}_Cin{macro.header}_Cout{macro.header}_kernel{size}_stride1",
        f"FC_Cin{macro.header}_Cout{macro.classes}",
    ]
