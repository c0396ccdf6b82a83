"""Model files: NumPy arrays and one text of meta data in an ``.npz``, read without trusting it.

A file holds ``meta`` (JSON as bytes: format, space, metric, source, keys, of, flags, link, groups, ...) and
the arrays of `hwnasbench.predictors.mlp`.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import CorruptFile, HwnasbenchError
from hwnasbench.predictors.mlp import LINKS, MLPPredictor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

#: Raised when the arrays or their meaning change.
FORMAT = "hwnasbench-model/1"
#: The most bytes that a file's arrays may take.
_LARGEST = 64 << 20
_FAULTS = (
    OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, MemoryError,
    NotImplementedError, RuntimeError, HwnasbenchError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def dump(arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> bytes:
    """Return the bytes of a model file; the same arguments give the same bytes."""
    text = json.dumps(meta, sort_keys=True, ensure_ascii=False).encode()
    buffer = io.BytesIO()
    ordered: dict[str, Any] = {name: arrays[name] for name in sorted(arrays)}
    np.savez_compressed(buffer, meta=np.frombuffer(text, np.uint8), **ordered)
    return buffer.getvalue()


def load(path: str | Path) -> MLPPredictor:
    """Read a model file.

    Raises
    ------
    CorruptFile
        When the file is missing, truncated, of another format, or its arrays do not fit together.
    """
    name = os.fspath(path)
    try:
        return MLPPredictor(*_read(name))
    except _FAULTS as error:
        why = str(error) or type(error).__name__
        raise CorruptFile(f"{name} is no model file: {why}; expected one of format {FORMAT!r}") from error


def _read(name: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    with zipfile.ZipFile(name) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _LARGEST:
            raise ValueError(f"its arrays take more than {_LARGEST} bytes")
        arrays = {}
        for entry in archive.infolist():
            with archive.open(entry) as handle:
                arrays[entry.filename.removesuffix(".npy")] = _array(io.BytesIO(handle.read()), entry.file_size)
    meta = json.loads(arrays.pop("meta").tobytes())
    if meta["format"] != FORMAT:
        raise ValueError(f"format {meta['format']!r}")
    _check(meta, arrays)
    return meta, arrays


def _array(handle: io.BytesIO, size: int) -> NDArray[Any]:
    """Read one array; a header that promises more than there is is refused before memory is taken."""
    version = np.lib.format.read_magic(handle)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(handle)
    if kind.hasobject or kind.itemsize * np.prod([float(n) for n in shape]) != size - handle.tell():
        raise ValueError(f"an array of {kind} and shape {shape} in {size} bytes")
    handle.seek(0)
    return np.asarray(np.lib.format.read_array(handle, allow_pickle=False))


def _check(meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse what would give numbers that mean nothing; the rest fails where shapes do not fit."""
    from hwnasbench import spaces
    from hwnasbench.predictors.groups import Groups

    space = spaces.get(meta["space"])
    if meta["link"] not in LINKS:
        raise ValueError(f"link {meta['link']!r}; known: {', '.join(LINKS)}")
    sums, groups = Groups(space.choices, meta["sum_groups"]).size, len(arrays["std"])
    counted = arrays["sums"].shape[1]
    expected: dict[str, tuple[int, ...]] = {
        "sums": (sums, counted),
        "ranges": (2, counted),
        "rarity": (sum(space.choices),),
        "edges": (groups - 1,),
        "std": (groups,),
        "quantiles": (groups, len(meta["levels"])),
    }
    if meta["layers"]:
        members, narrow = arrays["weights1"].shape[:2]
        units = members * narrow
        expected |= {"log_centre": (counted,), "log_scale": (counted,), "log_weights": (counted, units)}
        expected |= {"weights": (sum(space.choices), units), "bias": (units,)}
        for number in range(1, meta["layers"] + 1):
            wide = 1 if number == meta["layers"] else arrays[f"weights{number + 1}"].shape[1]
            expected |= {f"weights{number}": (members, narrow, wide), f"bias{number}": (members, 1, wide)}
            narrow = wide
    if set(expected) != set(arrays):
        raise ValueError(f"arrays {', '.join(sorted(arrays))}; expected {', '.join(sorted(expected))}")
    for name, shape in expected.items():
        if arrays[name].shape != shape or arrays[name].dtype.kind != "f" or not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} is no array of finite floats of shape {shape}")
