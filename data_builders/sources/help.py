"""Latency tables of HELP: NAS-Bench-201, 5,000 FBNet networks and 5,000 OFA-MobileNetV3 subnetworks."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from data_builders.pickles import load_pt
from data_builders.rows import by_string, cell_column, listed_column, nasbench201
from hwnasbench import spaces
from hwnasbench.errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData

#: Name in the files, without the batch: our device.
DEVICES = {
    "1080ti": "gtx_1080ti",
    "2080ti": "rtx_2080ti",
    "titan_rtx": "titan_rtx",
    "titanx": "titan_x",
    "titanxp": "titan_xp",
    "titan_xp": "titan_xp",
    "v100": "v100",
    "gold_6226": "gold_6226",
    "gold_6240": "gold_6240",
    "silver_4114": "silver_4114",
    "pixel2": "pixel2",
    "pixel3": "pixel3",
    "samsung_a50": "samsung_a50",
    "essential_ph_1": "essential_ph_1",
    "raspi4": "raspi4",
    "eyeriss": "eyeriss",
    "fpga": "fpga",
}
_GPUS = ("1080ti", "2080ti", "titan_rtx", "titanx", "titanxp", "titan_xp", "v100")
#: HW-NAS-Bench's own values: (kind, engine, precision).
_HWNASBENCH = {
    "raspi4": ("measured", "tflite", "fp32"),
    "pixel3": ("measured", "tflite", "fp32"),
    "eyeriss": ("estimated", None, "int16"),
    "fpga": ("estimated", None, "int16"),
}


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield one column a latency file."""
    order = load_pt(files.path("data/nasbench201/str_arch2idx.pt"))
    if len(order) != len(nasbench201()):
        raise CorruptFile(f"str_arch2idx.pt has {len(order)} architectures; expected {len(nasbench201())}")
    by_string("help", list(order), list(order.values()))
    fbnet = spaces.get("fbnet")
    archs = [fbnet.format(arch) for arch in load_pt(files.path("data/fbnet/arch.pt"))]

    for space, default_dataset in (("nasbench201", "cifar10"), ("fbnet", "cifar100")):
        for name in files.names(f"data/{space}/latency/"):
            stem = PurePosixPath(name).stem
            device, batch = _split(stem)
            kind, engine, precision = _HWNASBENCH.get(device, ("measured", None, "fp32"))
            flags = ["assumed:precision"]
            if device not in _HWNASBENCH:
                flags.append("assumed:dataset")
                if device not in _GPUS:
                    flags.append("assumed:batch")
            keys: dict[str, str | int | None] = {
                "dataset": default_dataset,
                "device": DEVICES[device],
                "engine": engine,
                "batch": batch,
                "precision": precision,
            }
            values = np.asarray(load_pt(files.path(name)), np.float64)
            if space == "nasbench201":
                yield cell_column("help", "latency", values, kind=kind, keys=keys, flags=sorted(flags))
            else:
                yield listed_column(
                    "fbnet", "help", "latency", archs, values, kind=kind, keys=keys, flags=sorted(flags)
                )

    yield from _once_for_all(files)


def _once_for_all(files: Folder) -> Iterator[ColumnData]:
    """Yield the latencies of 5,000 subnetworks at ImageNet, each at its own resolution."""
    published = load_pt(files.path("data/ofa/ofa_archs.pt"))
    if published["dataset"] != "imagenet":
        raise CorruptFile(f"ofa_archs.pt is of {published['dataset']!r}; expected 'imagenet'")
    space = spaces.get("ofa_mobilenetv3")
    archs = [space.format(space.canonical(arch)) for arch in published["arch"]]
    for name in files.names("data/ofa/latency/"):
        device, batch = _split(PurePosixPath(name).stem)
        keys: dict[str, str | int | None] = {
            "dataset": "imagenet",
            "device": DEVICES[device],
            "batch": batch,
            "precision": "fp32",
        }
        values = np.asarray(load_pt(files.path(name)), np.float64)
        yield listed_column(
            space.name, "help", "latency", archs, values, kind="measured", keys=keys, flags=["assumed:precision"]
        )


def _split(stem: str) -> tuple[str, int]:
    """Split ``titan_rtx_32`` into device and batch; only GPU files name a batch."""
    match = re.fullmatch(rf"({'|'.join(_GPUS)})_(\d+)", stem)
    device, batch = (match[1], int(match[2])) if match else (stem, 1)
    if device not in DEVICES:
        raise CorruptFile(f"{stem}.pt names no known device")
    return device, batch
