"""AnalogNAS-Bench: CIFAR-10 accuracies of NAS-Bench-201 in digital and analog arithmetic."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.pickles import PLAIN, Stub, loads
from data_builders.rows import cell_column, nasbench201, scatter
from hwnasbench.errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData

_ALLOWED = {
    **PLAIN,
    ("analognasbench.data", "Architecture"): Stub,
    ("analognasbench.data", "DriftMeasurement"): Stub,
}
#: Field: (precision, recipe).
_ACCURACIES = {
    "baseline_accuracy": ("fp32", "analognas"),
    "ptq_accuracy": ("int8", "ptq"),
    "qat_accuracy": ("int8", "qat"),
    "noisy_accuracy": ("analog", "noisy"),
    "analog_accuracy": ("analog", "hwat"),
}
_DRIFTS = {"baseline": "noisy", "analog": "hwat"}
#: Seconds after programming: how the recipe names them.
_TIMES = {60: "60s", 3600: "1h", 86400: "1d", 2592000: "30d"}


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield the five accuracies and the eight drifts."""
    archs = _read(files)
    space = nasbench201()
    rows = np.array([space.index(space.parse(key, notation="naslib")) for key in archs], np.intp)
    states = [arch.state for arch in archs.values()]
    for field, (precision, recipe) in _ACCURACIES.items():
        yield _column(rows, [state[field] for state in states], precision, recipe)
    for prefix, recipe in _DRIFTS.items():
        for seconds, name in _TIMES.items():
            drifts = [state[f"{prefix}_drift_{seconds}"].state for state in states]
            values = np.array([drift["value"] for drift in drifts], np.float64)
            # The package writes 0 +- 0 where it could not parse its own table.
            values[values == 0] = np.nan
            noise = scatter(rows, [drift["uncertainty"] for drift in drifts])
            yield _column(rows, values, "analog", f"{recipe}_drift_{name}", noise=noise)


def _column(rows: Any, values: Any, precision: str, recipe: str, **extra: Any) -> ColumnData:
    keys: dict[str, str | int | None] = {
        "dataset": "cifar10",
        "precision": precision,
        "split": "test",
        "recipe": recipe,
    }
    return cell_column(
        "analog-nasbench",
        "accuracy",
        scatter(rows, values),
        kind="measured",
        keys=keys,
        flags=["assumed:split"],
        **extra,
    )


def _read(files: Folder) -> dict[tuple[int, ...], Stub]:
    path = files.path(files.source.files[0].path)
    try:
        with zipfile.ZipFile(path) as wheel:
            data = wheel.read("analognasbench/data.anb")
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise CorruptFile(f"{path} is no whole wheel with analognasbench/data.anb: {error}") from error
    archs = loads(data, _ALLOWED, f"{path}:analognasbench/data.anb")
    if not isinstance(archs, dict) or len(archs) != len(nasbench201()):
        raise CorruptFile(f"{path}: data.anb is no table of {len(nasbench201())} architectures")
    return archs
