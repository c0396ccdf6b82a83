"""Devices: what runs a network. One TOML file a device, in ``catalog/``."""

from __future__ import annotations

import functools

from hwnasbench.errors import CorruptFile, InvalidRequest, NoColumn, UnknownName
from hwnasbench.vocabulary import DEVICE_CLASSES, KEYS, precision_bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from hwnasbench.benchmark import Benchmark
    from hwnasbench.tables.columns import Column

__all__ = ["Device", "by_name", "catalog", "load_catalog"]

_FIELDS = ("name", "title", "device_class", "chip", "chip_evidence", "aliases", "defaults", "note")


class Device:
    """One device of the catalogue.

    Attributes
    ----------
    name : str
        The catalogue's name, which every query takes.
    title : str
        What people call it.
    device_class : str
        One of `hwnasbench.vocabulary.DEVICE_CLASSES`.
    chip : str
        The chip; devices with one chip are not independent of each other.
    chip_evidence : str
        ``stated`` by the source, or ``recalled``.
    aliases : tuple of str
        Other names that every query takes.
    defaults : dict
        The value of each key (engine, precision, batch, threads, ...) that a request does not name.
    note : str
        What to know before trusting its numbers.
    cost : dict
        How it is simulated: ``model``, a file of ``models/``; ``precisions`` that it runs (braces
        list alternatives: ``w{2,4,8}a8``); ``parameters``, its own ``{value, evidence, source}``.
        Empty where nothing simulates it.
    """

    __slots__ = (*_FIELDS, "_cost")

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.name: str = record["name"]
        self.title: str = record["title"]
        self.device_class: str = record["device_class"]
        self.chip: str = record["chip"]
        self.chip_evidence: str = record["chip_evidence"]
        self.aliases: tuple[str, ...] = tuple(record.get("aliases", ()))
        self.defaults: dict[str, str | int] = dict(record.get("defaults", {}))
        self.note: str = record.get("note", "")
        self._cost: dict[str, Any] | None = record.get("cost")

    def to_dict(self) -> dict[str, Any]:
        """Return the record as it stands in the catalogue."""
        record = {field: getattr(self, field) for field in _FIELDS}
        record["aliases"] = list(self.aliases)
        record["defaults"] = dict(self.defaults)
        return record

    @property
    def cost(self) -> dict[str, Any]:
        """How it is simulated; see the class. A compiled catalogue leaves it to the device's file."""
        if self._cost is None:
            self._cost = _cost_of(self.name)
        return self._cost

    @property
    def precisions(self) -> tuple[str, ...]:
        """Precisions that its cost model runs, the default one first."""
        names = [name for text in self.cost.get("precisions", ()) for name in _expand(text)]
        default = self.defaults.get("precision")
        return tuple(sorted(dict.fromkeys(names), key=lambda name: name != default))

    def parameters(self) -> dict[str, dict[str, Any]]:
        """Return ``{value, evidence, source}`` of every parameter of its cost model.

        Raises
        ------
        NoColumn
            When nothing simulates the device.
        """
        if not self.cost:
            raise NoColumn(f"device {self.name!r} has no cost model; its catalogue file names none under [cost]")
        from hwnasbench.devices.parameters import resolve

        return resolve(self.cost["model"], self.device_class, self.name, self.cost.get("parameters", {}))

    def columns(self, bench: Benchmark, metric: str) -> Sequence[Column]:
        """Return the columns that it brings itself, beside those of the stores; a device of the catalogue has none."""
        return ()

    def __repr__(self) -> str:
        return f"<device {self.name}: {self.title}, {self.device_class}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.name)


def _expand(text: str) -> list[str]:
    """Return what a pattern with braces stands for: ``w{2,4}a8`` is w2a8 and w4a8."""
    head, brace, rest = text.partition("{")
    if not brace:
        return [text]
    inside, _, tail = rest.partition("}")
    return [head + word + end for word in inside.split(",") for end in _expand(tail)]


@functools.cache
def catalog() -> dict[str, Device]:
    """Return the package's own catalogue, by name and alias."""
    return by_name(load_catalog().values())


def load_catalog(folder: Path | None = None) -> dict[str, Device]:
    """Read every device's TOML file.

    Parameters
    ----------
    folder : Path, optional
        Where the files are; the package's own catalogue by default.

    Returns
    -------
    dict of str to Device
        By name, sorted.

    Raises
    ------
    CorruptFile
        When a file is no TOML, lacks a field, has an unknown one, or its name is not the file's.
    """
    from pathlib import Path

    folder = folder or Path(__file__).parent / "catalog"
    return {path.stem: _read(path) for path in sorted(folder.glob("*.toml"))}


def _read(path: Path) -> Device:
    import tomllib

    try:
        record = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{path} is not TOML: {error}") from error
    missing = [f for f in _FIELDS[:5] if f not in record]
    if missing:
        raise CorruptFile(f"{path} lacks {missing[0]!r}; a device file has {', '.join(_FIELDS)}")
    for name in record:
        if name not in (*_FIELDS, "cost"):
            raise CorruptFile(f"{path}: {UnknownName('field', name, _FIELDS)}")
    for name in record.get("defaults", {}):
        if name not in KEYS:
            raise CorruptFile(f"{path}: {UnknownName('key', name, KEYS)}")
    if record["device_class"] not in DEVICE_CLASSES:
        raise CorruptFile(f"{path}: {UnknownName('device class', record['device_class'], DEVICE_CLASSES)}")
    _check_cost(path, record)
    if record["name"] != path.stem:
        raise CorruptFile(f"{path}: the device is called {record['name']!r}; expected the file's name {path.stem!r}")
    record.setdefault("cost", {})
    return Device(record)


def _cost_of(name: str) -> dict[str, Any]:
    from pathlib import Path

    path = Path(__file__).parent / "catalog" / f"{name}.toml"
    return _read(path).cost if path.is_file() else {}


def _check_cost(path: Path, record: dict[str, Any]) -> None:
    cost = record.get("cost")
    if cost is None:
        return
    from hwnasbench.devices.parameters import check_evidence, resolve

    for name in cost:
        if name not in ("model", "precisions", "parameters"):
            raise CorruptFile(f"{path}: {UnknownName('field of cost', name, ('model', 'precisions', 'parameters'))}")
    if "model" not in cost or not cost.get("precisions"):
        raise CorruptFile(f"{path}: [cost] needs a model and precisions")
    for name, value in cost.get("parameters", {}).items():
        check_evidence(f"{path}, {name}", value)
    try:
        resolve(cost["model"], record["device_class"], record["name"], cost.get("parameters", {}))
        for text in cost["precisions"]:
            for name in _expand(text):
                precision_bits(name)
    except (UnknownName, InvalidRequest) as error:
        raise CorruptFile(f"{path}: {error}") from error


def by_name(devices: Iterable[Device]) -> dict[str, Device]:
    """Return devices by name and by every alias.

    Raises
    ------
    CorruptFile
        When two devices share a name or an alias.
    """
    out: dict[str, Device] = {}
    for device in devices:
        for name in (device.name, *device.aliases):
            if name in out:
                raise CorruptFile(f"devices {out[name].name!r} and {device.name!r} are both called {name!r}")
            out[name] = device
    return out
