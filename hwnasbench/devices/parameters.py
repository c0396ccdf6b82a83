"""Parameters of the cost models: what each one means, its bounds, its value and the evidence for it.

``models/<model>.toml`` has one table a parameter; a device's own values come from, in rising
precedence: the parameter's default, the model's default for the device's class, the generated
``fits/<device>.toml``, and the device's catalogue file.
"""

from __future__ import annotations

import functools
from math import inf

from hwnasbench.errors import CorruptFile, InvalidRequest, UnknownName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

#: How anyone can know the value of a constant.
EVIDENCE = ("read", "fitted", "recalled", "chosen")
_FIELDS = ("value", "unit", "low", "high", "integer", "choices", "about", "evidence", "source", "by_class")


class Parameter:
    """One parameter of a cost model.

    Attributes
    ----------
    name, unit, about : str
    value : float, int or str
        The default. A string is one of `choices`.
    low, high : float
        Inclusive bounds of a number.
    integer : bool
    choices : tuple of str
        The valid words, where the parameter is one.
    evidence : {"read", "fitted", "recalled", "chosen"}
        ``read``: from the file or document in `source`. ``chosen``: a design decision, such as
        the size of an array, of which nobody can be wrong.
    source : str
        What was read or fitted to; empty where recalled or chosen.
    by_class : dict
        Device class to ``{value, evidence, source}`` that stands in for the default there.
    """

    __slots__ = (
        "about",
        "by_class",
        "choices",
        "evidence",
        "high",
        "integer",
        "low",
        "name",
        "source",
        "unit",
        "value",
    )

    def __init__(self, name: str, record: Mapping[str, Any]) -> None:
        self.name = name
        self.value: float | int | str = record["value"]
        self.unit: str = record.get("unit", "1")
        self.low: float = record.get("low", 0.0)
        self.high: float = record.get("high", float("inf"))
        self.integer: bool = record.get("integer", False)
        self.choices: tuple[str, ...] = tuple(record.get("choices", ()))
        self.about: str = record.get("about", "")
        self.evidence: str = record["evidence"]
        self.source: str = record.get("source", "")
        self.by_class: dict[str, dict[str, Any]] = record.get("by_class", {})

    def check(self, value: Any) -> float | int | str:
        """Return `value` where it is valid.

        Raises
        ------
        InvalidRequest
            When a number is out of bounds or of the wrong type.
        UnknownName
            When a word is none of the choices.
        """
        if self.choices:
            if value not in self.choices:
                raise UnknownName(self.name, value, self.choices)
            return str(value)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or (self.integer and value != int(value)) or not self.low <= value <= self.high:
            sort = "an integer" if self.integer else "a number"
            bounds = f"of {self.low:g} or more" if self.high == inf else f"from {self.low:g} to {self.high:g}"
            unit = f" {self.unit}" if self.unit != "1" else ""
            raise InvalidRequest(f"{self.name}={value!r}: expected {sort} {bounds}{unit}")
        return int(value) if self.integer else value

    def code(self, value: float | int | str) -> float:
        """Return the value as a number: the position of a word among the choices."""
        return float(self.choices.index(str(value))) if self.choices else float(value)


@functools.cache
def parameters(model: str) -> dict[str, Parameter]:
    """Return the parameters of a cost model by name.

    Raises
    ------
    UnknownName
        When no file describes the model.
    CorruptFile
        When its file is malformed.
    """
    from pathlib import Path

    folder = Path(__file__).parent / "models"
    path = folder / f"{model}.toml"
    if not path.is_file():
        raise UnknownName("cost model", model, [p.stem for p in folder.glob("*.toml")])
    return {name: _read(path, name, record) for name, record in read_toml(path).items()}


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises
    ------
    CorruptFile
        When it is no TOML.
    """
    import tomllib

    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{path} is not TOML: {error}") from error


def _read(path: Path, name: str, record: dict[str, Any]) -> Parameter:
    for field in record:
        if field not in _FIELDS:
            raise CorruptFile(f"{path}, {name}: {UnknownName('field', field, _FIELDS)}")
    for part in (record, *record.get("by_class", {}).values()):
        check_evidence(f"{path}, {name}", part)
    parameter = Parameter(name, record)
    for value in (parameter.value, *(part["value"] for part in parameter.by_class.values())):
        try:
            parameter.check(value)
        except (InvalidRequest, UnknownName) as error:
            raise CorruptFile(f"{path}: {error}") from error
    return parameter


def check_evidence(where: str, record: Mapping[str, Any]) -> None:
    """Refuse a value without evidence, or one that claims a source it does not name.

    Raises
    ------
    CorruptFile
    """
    if "value" not in record or record.get("evidence") not in EVIDENCE:
        raise CorruptFile(f"{where}: expected a value and evidence, one of {', '.join(EVIDENCE)}")
    if record["evidence"] in ("read", "fitted") and not record.get("source"):
        raise CorruptFile(f"{where}: evidence {record['evidence']!r} needs a source")


@functools.cache
def _fit(device: str) -> dict[str, Any]:
    from pathlib import Path

    path = Path(__file__).parent / "fits" / f"{device}.toml"
    return read_toml(path) if path.is_file() else {}


def fit_of(device: str) -> dict[str, Any]:
    """Return the generated fit of a catalogue device: ``parameters`` and ``scorecards``; empty where none."""
    return _fit(device)


def resolve(model: str, device_class: str, name: str, own: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return ``{value, evidence, source}`` of every parameter of a device.

    Parameters
    ----------
    model, device_class : str
    name : str
        The device, for its fit.
    own : mapping
        The device's own values: ``{name: {value, evidence, source}}``.

    Raises
    ------
    UnknownName, InvalidRequest
        When an own parameter is unknown or out of bounds.
    """
    known = parameters(model)
    fitted = fit_of(name)
    given = {**(fitted.get("parameters", {}) if fitted.get("model") == model else {}), **own}
    for key in given:
        if key not in known:
            raise UnknownName(f"parameter of {model}", key, known)
    out: dict[str, dict[str, Any]] = {}
    for key, parameter in known.items():
        default = {"value": parameter.value, "evidence": parameter.evidence, "source": parameter.source}
        record = given.get(key) or parameter.by_class.get(device_class) or default
        out[key] = {**record, "value": parameter.check(record["value"])}
    return out
