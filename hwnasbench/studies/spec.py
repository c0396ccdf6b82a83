"""What a study is, and the TOML file that says it."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from hwnasbench import search, spaces
from hwnasbench.devices import accelerator_spaces
from hwnasbench.errors import HwnasbenchError, InvalidRequest, MissingExtra, UnknownName, nearest
from hwnasbench.search.base import settings_of
from hwnasbench.search.loop import Budget
from hwnasbench.spaces.mixed import mixed_precision
from hwnasbench.vocabulary import KEYS

try:
    from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
except ImportError as error:
    raise MissingExtra("studies need pydantic and plotly: pip install 'hwnasbench[study]'") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwnasbench.search.base import Searcher

#: Keys of a query that a problem may fix; split and epochs are its own, and a device has a key of its own.
_REQUEST = {*KEYS, "source", "kinds", "fill"} - {"device", "split", "epochs"}
#: Names become names of folders and of elements of the report.
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@+-]*$", max_length=80)]


def _seeds(given: object) -> object:
    """Return the numbers of the runs, of which a file may say how many."""
    if isinstance(given, (list, tuple)):
        return given
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise ValueError("expected how many runs, 1 or more, or a list of their numbers")
    return tuple(range(given))


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Space(_Part):
    """A space of architectures, alone, with bits of its layers, with an accelerator, or with both.

    Attributes
    ----------
    base : str
        A name of `hwnasbench.spaces.names`.
    weights, activations : tuple of int
        Bits to choose from for each layer.
    layers : int, optional
        Most layers that have bits; see `hwnasbench.spaces.mixed.mixed_precision`.
    accelerators : str, optional
        A name of the spaces of accelerators.
    """

    base: str
    weights: tuple[int, ...] = ()
    activations: tuple[int, ...] = ()
    layers: int | None = None
    accelerators: str | None = None

    def make(self) -> spaces.Space:
        """Return the space.

        Raises
        ------
        UnknownName, InvalidRequest
        """
        return _space(self)


@lru_cache(maxsize=64)
def _space(space: Space) -> spaces.Space:
    """Make a space once: to find the most layers of a network takes seconds."""
    made = spaces.get(space.base)
    bits = {key: value for key in ("weights", "activations", "layers") if (value := getattr(space, key))}
    if bits:
        made = mixed_precision(made, **bits)
    return made if space.accelerators is None else accelerator_spaces.joint(made, space.accelerators)


class Problem(_Part):
    """What is searched; see `hwnasbench.search.Problem`.

    Attributes
    ----------
    name : str
        Of its own; made of space and device where none is given.
    space : Space or str
    data : {"shipped", "built", "auto"}
        As for `hwnasbench.load`.
    device : str, optional
        The file may give ``devices``, a list: one problem each.
    objective : dict
        Its ``name`` and settings.
    limits : dict
        For each metric the most that is allowed; the least, where more of it is better.
    split, epochs
        Of the accuracy that the search sees.
    request : dict
        Further keys of `Benchmark.query`.
    """

    name: _Name
    space: Annotated[Space, BeforeValidator(lambda given: {"base": given} if isinstance(given, str) else given)]
    data: Literal["shipped", "built", "auto"] = "shipped"
    device: str | None = None
    objective: dict[str, Any] = {"name": "metric"}
    limits: dict[str, float] = {}
    split: Literal["valid", "test"] = "valid"
    epochs: int | None = None
    request: dict[str, Any] = {}


class Contender(_Part):
    """A searcher and its settings.

    Attributes
    ----------
    name : str
        A name of `hwnasbench.search.names`, or ``MODULE:CLASS`` for one of your own.
    label : str
        What it is called in the study; its name, or that of the class, by default.
    settings : dict
    """

    name: str
    label: _Name
    settings: dict[str, Any] = {}

    def kind(self) -> type[Searcher]:
        """Return the class of the searcher.

        Raises
        ------
        UnknownName, MissingExtra
        InvalidRequest
            When there is no such module or class, or it has no such setting.
        """
        found = own(self.name) if ":" in self.name else search.get(self.name)
        known = settings_of(found)
        for setting in self.settings:
            if known is not None and setting not in known:
                raise UnknownName(f"setting of {self.name}", setting, known)
        return found


class Limits(_Part):
    """How long each run goes on; see `hwnasbench.search.Budget`."""

    queries: int | None = None
    seconds: float | None = None

    def make(self) -> Budget:
        return Budget(self.queries, self.seconds)


class Study(_Part):
    """Searchers x seeds on problems.

    Attributes
    ----------
    name, title, description : str
    problems : tuple of Problem
    searchers : tuple of Contender
    budget : Limits
    seeds : tuple of int
        Numbers of the runs; the file may give how many instead.
    seed : int
        What the randomness of all runs follows from.
    chunk : int
        Runs of one searcher on one problem that are computed, and kept, together.
    """

    name: _Name
    title: str = ""
    description: str = ""
    problems: Annotated[tuple[Problem, ...], Field(min_length=1)]
    searchers: Annotated[tuple[Contender, ...], Field(min_length=1)]
    budget: Limits
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...],
        Field(min_length=1),
        BeforeValidator(_seeds),
    ]
    seed: Annotated[int, Field(ge=0)] = 0
    chunk: Annotated[int, Field(ge=1)] = 10

    @property
    def digest(self) -> str:
        """SHA-256 of what the study says, whatever its file looks like."""
        return digest(self.model_dump(mode="json"))


def digest(plain: object) -> str:
    """Return the SHA-256 of plain values."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def own(name: str) -> type[Searcher]:
    """Return the searcher called ``MODULE:CLASS``.

    Raises
    ------
    InvalidRequest
        When it cannot be imported.
    """
    module, _, attribute = name.partition(":")
    try:
        found: type[Searcher] = getattr(__import__(module, fromlist=[attribute]), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidRequest(f"no searcher {name!r}: {error}; expected MODULE:CLASS, or a registered name") from error
    return found


def read(path: Path | str) -> Study:
    """Read a study from its file.

    Raises
    ------
    InvalidRequest
        When the file is not there or is no TOML, or says what cannot be: the message names the file, the place, and
        the nearest valid choice.
    """
    path = Path(path)
    try:
        given = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} cannot be read: {error}; expected a study's TOML file") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequest(f"{path} is no TOML: {error}") from error
    return parse(given, str(path))


def parse(given: dict[str, Any], where: str = "study") -> Study:
    """Make a study of plain values, as a TOML file holds them; see `read`."""
    tables = {"problems": lambda tables: _problems(tables, where), "searchers": _searchers}
    given = given | {key: make(given[key]) for key, make in tables.items() if _tables(given.get(key))}
    try:
        study = Study.model_validate(given)
    except ValidationError as error:
        raise InvalidRequest(f"{where}: {_explain(error)}") from None
    with at(where, "budget"):
        study.budget.make()
    for number, problem in enumerate(study.problems):
        place = f"problems[{number}]"
        with at(where, f"{place}.space"):
            problem.space.make()
        for key in problem.request:
            if key not in _REQUEST:
                raise InvalidRequest(f"{where}: {place}.request: {UnknownName('key', key, _REQUEST)}")
    for number, contender in enumerate(study.searchers):
        with at(where, f"searchers[{number}]"):
            contender.kind()
    for what, names in (
        ("problems", [problem.name for problem in study.problems]),
        ("searchers", [contender.label for contender in study.searchers]),
        ("seeds", [str(seed) for seed in study.seeds]),
    ):
        # A file system may take names that differ in case for one.
        twice = next((name for name in names if [n.lower() for n in names].count(name.lower()) > 1), None)
        if twice is not None:
            hint = {"problems": "; give them a name each", "searchers": "; give them a label each"}.get(what, "")
            raise InvalidRequest(f"{where}: {what}: {twice!r} stands twice{hint}")
    return study


@contextmanager
def at(where: str, place: str) -> Iterator[None]:
    """Say where in a study's file something is wrong."""
    try:
        yield
    except HwnasbenchError as error:
        raise InvalidRequest(f"{where}: {place}: {error}") from error


def _problems(given: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
    """Give every problem a name, and make one a device of those that name several."""
    out = []
    for number, table in enumerate(given):
        devices = table.get("devices", [table.get("device")])
        if not isinstance(devices, list) or not devices or {"device", "devices"} <= table.keys():
            raise InvalidRequest(f"{where}: problems[{number}].devices: {devices!r}; expected a list, or one device")
        rest = {key: value for key, value in table.items() if key != "devices"}
        for device in devices:
            name = table.get("name")
            if name is None or (isinstance(name, str) and len(devices) > 1):
                base = table.get("space") if name is None else name
                base = "-".join(str(v) for v in base.values()) if isinstance(base, dict) else str(base)
                name = re.sub(r"[^A-Za-z0-9_.@+-]+", "-", base if device is None else f"{base}-{device}").strip("-")
            out.append(rest | {"name": name} | ({} if device is None else {"device": device}))
    return out


def _searchers(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give every searcher a label."""
    return [{"label": str(table.get("name", "")).rpartition(":")[2]} | table for table in given]


def _tables(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(table, dict) for table in given)


#: The model behind each table of a file.
_MODELS: dict[tuple[str, ...], type[BaseModel]] = {
    (): Study,
    ("problems",): Problem,
    ("problems", "space"): Space,
    ("searchers",): Contender,
    ("budget",): Limits,
}


def _explain(error: ValidationError) -> str:
    """Say in one line what is wrong, where, and what is near."""
    first = error.errors()[0]
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"]).lstrip(".")
    if first["type"] == "extra_forbidden":
        *path, key = first["loc"]
        fields = {*_MODELS[tuple(step for step in path if isinstance(step, str))].model_fields}
        fields |= {"devices"} if path[:1] == ["problems"] and "device" in fields else set()
        return f"{place}: {UnknownName('key', key, fields)}"
    if first["type"] == "literal_error":
        return f"{place}: {first['input']!r}; expected {first['ctx']['expected']}" + _near(first)
    if first["type"] == "missing":
        return f"{place} is missing"
    return f"{place}: {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}"


def _near(found: Any) -> str:
    close = nearest(found["input"], re.findall(r"'([^']+)'", found["ctx"]["expected"]))
    return f"; did you mean {close[0]!r}?" if close else ""
