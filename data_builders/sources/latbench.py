"""LatBench (EAGLE): NAS-Bench-201 latencies on ten devices, in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_builders.pickles import load
from data_builders.rows import cell_column, nasbench201, scatter
from hwnasbench.errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData

#: File: (device, precision). desktop-gpu-gtx-1080ti is left out; see the TOML file.
FILES = {
    "desktop-cpu-core-i7-7820x-fp32": ("i7_7820x", "fp32"),
    "embedded-gpu-jetson-nano-fp16": ("jetson_nano", "fp16"),
    "embedded-gpu-jetson-nano-fp32": ("jetson_nano", "fp32"),
    "embedded-tpu-edge-tpu-int8": ("edgetpu", "int8"),
    "mobile-cpu-snapdragon-450-cortex-a53-int8": ("cortex_a53_sd450", "int8"),
    "mobile-cpu-snapdragon-675-kryo-460-int8": ("kryo_460", "int8"),
    "mobile-cpu-snapdragon-855-kryo-485-int8": ("kryo_485", "int8"),
    "mobile-dsp-snapdragon-855-hexagon-690-int8": ("hexagon_690", "int8"),
    "mobile-gpu-snapdragon-675-adreno-612-int8": ("adreno_612", "int8"),
    "mobile-gpu-snapdragon-855-adreno-640-int8": ("adreno_640", "int8"),
}


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield one column a file."""
    for name, (device, precision) in FILES.items():
        table = load(files.path(f"{name}.pickle"))
        index = nasbench201().indices(np.array(list(table), np.int64))
        # Seconds in the file.
        milliseconds = np.array(list(table.values()), np.float64) * 1000
        if not (milliseconds > 0).all():
            raise CorruptFile(f"{name}.pickle holds a latency that is not positive")
        yield cell_column(
            "latbench",
            "latency",
            scatter(index, milliseconds),
            kind="measured",
            keys={"dataset": "cifar10", "device": device, "batch": 1, "precision": precision},
            flags=["assumed:dataset"],
        )
