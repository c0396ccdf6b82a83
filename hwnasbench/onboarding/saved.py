"""A device's file: JSON of what was measured, nothing that runs and nothing that was learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnasbench.errors import CorruptFile, HwnasbenchError
from hwnasbench.onboarding.device import OnboardedDevice
from hwnasbench.onboarding.registry import register, saved_path

if TYPE_CHECKING:
    import os

FORMAT = "hwnasbench-device/1"
_FIELDS = {
    "name": str,
    "title": str,
    "device_class": (str, type(None)),
    "space": str,
    "dataset": str,
    "batch": int,
    "precision": str,
    "engine": (str, type(None)),
    "threads": (int, type(None)),
    "of": str,
    "archs": list,
    "measurements": dict,
}


def write(device: OnboardedDevice, path: str | os.PathLike[str] | None = None) -> Path:
    """Write a device's file; see `OnboardedDevice.save`."""
    from hwnasbench.tables.write import atomically

    target = Path(saved_path(device.name) if path is None else path)
    text = json.dumps({"format": FORMAT, **device.record()}, indent=1) + "\n"
    atomically(target, lambda temporary: temporary.write_text(text, "utf-8"))
    return target


def read(path: str | os.PathLike[str], name: str | None = None) -> OnboardedDevice:
    """Read a device's file without registering it.

    Raises
    ------
    CorruptFile
        When it is truncated, of another kind, or says what no device can be.
    """
    try:
        record = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise CorruptFile(f"{path} cannot be read ({error.strerror}); expected a device's file") from None
    except (ValueError, RecursionError) as error:
        raise CorruptFile(f"{path} is truncated or no device's file ({error})") from None
    if not isinstance(record, dict) or record.pop("format", None) != FORMAT:
        raise CorruptFile(f"{path} is no device's file; expected the format {FORMAT!r}")
    _check_fields(path, record)
    if name is not None and record["name"] != name:
        raise CorruptFile(f"{path} holds the device {record['name']!r}; expected {name!r}")
    try:
        return OnboardedDevice(record)
    except HwnasbenchError as error:
        raise CorruptFile(f"{path}: {error}") from error


def _check_fields(path: Any, record: dict[str, Any]) -> None:
    for field, kind in _FIELDS.items():
        if not isinstance(record.get(field), kind):  # type: ignore[arg-type]
            raise CorruptFile(f"{path}: {field} is {record.get(field)!r}; the file is damaged")
    unknown = sorted({*record} - {*_FIELDS}) or sorted({*record["measurements"]} - {"latency", "energy"})
    if unknown:
        raise CorruptFile(f"{path}: {unknown[0]!r} is unknown; expected {', '.join(_FIELDS)}")


def load_device(path: str | os.PathLike[str]) -> OnboardedDevice:
    """Read a device that `OnboardedDevice.save` wrote, and let queries find it by its name.

    Raises
    ------
    CorruptFile
        When the file is missing, truncated or of another kind; nothing is then registered.
    """
    device = read(path)
    register(device)
    return device
