"""Zen scores computed with NASLib: a zip of ``benchmark--<space>--<data set>--<start>.json`` files."""

from __future__ import annotations

import ast
import json
import zipfile
from collections import defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.rows import cell_column, nasbench201, scatter
from hwnasbench.errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData

#: Data set in the file names: ours.
DATASETS = {"cifar10": "cifar10", "cifar100": "cifar100", "ImageNet16-120": "ImageNet16-120"}


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield one column a data set of NAS-Bench-201; records of other spaces are passed over."""
    records: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for space, dataset, part in read(files.path("run/results/benchmarks/nb201_zen.zip")):
        if space == "nasbench201":
            if dataset not in DATASETS:
                raise CorruptFile(f"nb201_zen.zip names the data set {dataset!r}; known: {', '.join(DATASETS)}")
            records[DATASETS[dataset]].extend(part)
    space_ = nasbench201()
    for dataset, found in sorted(records.items()):
        index = [space_.index(space_.parse(ast.literal_eval(r["arch"]), notation="naslib")) for r in found]
        if len(set(index)) != len(index):
            raise CorruptFile(f"nb201_zen.zip holds an architecture twice for {dataset}")
        yield cell_column(
            "naslib_zen",
            "zen",
            scatter(np.array(index, np.intp), [r["zen"]["score"] for r in found]),
            kind="estimated",
            keys={"dataset": dataset},
            disconnected=False,
        )


def read(path: Path) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Yield (space, data set, records) of every file in the zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith("/"):
                    continue
                parts = PurePosixPath(name).name.removesuffix(".json").split("--")
                if len(parts) != 4 or parts[0] != "benchmark":
                    raise CorruptFile(f"{path} holds {name}; expected benchmark--<space>--<data set>--<start>.json")
                yield parts[1], parts[2], json.loads(archive.read(name))
    except (zipfile.BadZipFile, EOFError, json.JSONDecodeError) as error:
        raise CorruptFile(f"{path} is no whole zip of JSON files: {error}") from error
