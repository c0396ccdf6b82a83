"""The user's own devices: those of this process, and those saved in the data folder."""

from __future__ import annotations

from hwnasbench.paths import home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from hwnasbench.onboarding.device import OnboardedDevice

#: Devices that this process onboarded or loaded, by name.
_OWN: dict[str, OnboardedDevice] = {}
#: Devices read from the data folder, by file: time of its last change, and the device.
_READ: dict[Path, tuple[int, OnboardedDevice]] = {}


def saved_path(name: str) -> Path:
    """Return where the data folder keeps a device."""
    return home() / "devices" / f"{name}.json"


def register(device: OnboardedDevice) -> None:
    """Let queries of this process find a device by its name, in place of an earlier one of that name."""
    _OWN[device.name] = device


def own_device(name: str) -> OnboardedDevice | None:
    """Return the user's device called `name`, of this process or saved, or None.

    Raises
    ------
    CorruptFile
        When its saved file is damaged.
    """
    if name in _OWN:
        return _OWN[name]
    if name not in own_names():
        return None
    path = saved_path(name)
    changed = path.stat().st_mtime_ns
    if path not in _READ or _READ[path][0] != changed:
        from hwnasbench.onboarding.saved import read

        _READ[path] = changed, read(path, name)
    return _READ[path][1]


def own_names() -> list[str]:
    """Return the names of the user's devices, sorted; a half-written file is none."""
    saved = (path.stem for path in saved_path("").parent.glob("[!.]*.json"))
    return sorted({*_OWN, *saved})
