"""The sources: one TOML file and one importer module each, found by their file names."""

from __future__ import annotations

import importlib
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from hwnasbench.errors import CorruptFile, SourceMissing, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from hwnasbench.tables.write import ColumnData

_FOLDER = Path(__file__).parent / "sources"
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class SourceFile(BaseModel):
    """One published file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: _Text
    #: None, with no checksum, only where the source is not pinned.
    bytes: Annotated[int, Field(gt=0)] | None = None
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None


class Source(BaseModel):
    """What a source's TOML file says.

    Attributes
    ----------
    id, title, repository, commit, licence, citation : str
        `licence` is ``"none stated"`` where the repository states none. `citation` is BibTeX.
    unit, unit_evidence, unit_how : str
        What the file's numbers are in; how that is known where it is not stated.
    priority : int
        Of two columns equally trusted, the one with the higher priority answers.
    opened : list of str
        The documents behind what this file says is stated.
    flags : list of str
        Caveats that hold for every row of the source.
    package : str, optional
        A requirement that pip downloads, where the file is not in a repository.
    pinned : bool
        False where no checksum is known: the user supplies the file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: _Text
    title: _Text
    repository: _Text
    commit: str
    licence: _Text
    citation: _Text
    note: str = ""
    priority: int
    unit: _Text
    unit_evidence: Literal["stated", "inferred"]
    unit_how: str = ""
    opened: list[str] = []
    flags: list[str] = []
    package: str | None = None
    pinned: bool = True
    files: Annotated[list[SourceFile], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Source:
        if self.unit_evidence == "inferred" and not self.unit_how.strip():
            raise ValueError("an inferred unit needs unit_how")
        if not self.citation.startswith("@"):
            raise ValueError("citation must be a BibTeX entry")
        if self.pinned and any(file.sha256 is None or file.bytes is None for file in self.files):
            raise ValueError("every file of a pinned source needs bytes and sha256")
        if self.pinned and self.package is None and len(self.commit) != 40:
            raise ValueError("commit must be the full hash")
        return self

    @property
    def module(self) -> str:
        """Name of the importer module and of the TOML file."""
        return self.id.replace("-", "_")


class Importer(Protocol):
    """An importer module: a generator of columns, and tables of layer costs where there are any."""

    def columns(self, files: Folder) -> Iterator[ColumnData]:
        """Yield every column of the source."""
        ...


class Folder:
    """The files of one source on disk, by their path in the repository.

    Attributes
    ----------
    source : Source
    root : Path
        The folder that stands for the root of the repository.
    """

    def __init__(self, source: Source, root: Path) -> None:
        self.source = source
        self.root = root

    @property
    def missing(self) -> list[str]:
        """Paths of the source's files that are not there."""
        return [file.path for file in self.source.files if not (self.root / file.path).is_file()]

    def path(self, relative: str) -> Path:
        """Return the path of one file.

        Raises
        ------
        SourceMissing
            When the file is not there.
        """
        path = self.root / relative
        if not path.is_file():
            raise SourceMissing(
                f"{path} is not there; run `hwnasbench fetch {self.source.id}`, or pass --from with the folder "
                f"that holds {self.source.id}/{relative}"
            )
        return path

    def names(self, prefix: str) -> list[str]:
        """Return the paths of the source's files that start with `prefix`, sorted."""
        return sorted(file.path for file in self.source.files if file.path.startswith(prefix))


def read_source(path: Path) -> Source:
    """Read and check one TOML file.

    Raises
    ------
    CorruptFile
        When a field is missing (unit, licence, citation, ...), unknown or malformed.
    """
    try:
        source = Source.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        raise CorruptFile(f"{path} does not describe a source: {error}") from error
    if source.module != path.stem:
        raise CorruptFile(f"{path} describes source {source.id!r}; expected the file name {source.module}.toml")
    return source


@cache
def _catalog() -> dict[str, Source]:
    found = [read_source(path) for path in sorted(_FOLDER.glob("*.toml"))]
    return {source.id: source for source in found}


def names() -> list[str]:
    """Return the ids of all sources, sorted."""
    return sorted(_catalog())


def get(name: str) -> Source:
    """Return the source called `name`.

    Raises
    ------
    UnknownName
        When there is none.
    """
    try:
        return _catalog()[name]
    except KeyError:
        raise UnknownName("source", name, _catalog()) from None


def importer(source: Source) -> Importer:
    """Return the importer module of `source`."""
    return cast("Importer", importlib.import_module(f"data_builders.sources.{source.module}"))


def lookups(source: Source, files: Folder) -> dict[str, pa.Table]:
    """Return the source's tables of layer costs by space; empty for most sources."""
    function = getattr(importer(source), "lookups", None)
    return {} if function is None else dict(function(files))
