"""The column store: raw little-endian columns and one index, memory-mapped.

It is derived from the Parquet tables by `hwnasbench.tables.store_builder`; the tables are the
truth. Reading one number touches one page of one file and imports nothing beyond the standard
library; vectors are NumPy views of the same bytes.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import sys
from array import array

from hwnasbench import spaces
from hwnasbench.errors import CorruptFile, StaleStore
from hwnasbench.predictors.lookup import evaluate
from hwnasbench.vocabulary import KEYS, KINDS, STATUSES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

#: Raised when the layout of the store's files changes.
FORMAT = "hwnasbench-store/1"
INDEX_FILE = "index.json"
DATA_FILE = "columns.bin"

_TYPES: dict[str, Any] = {"f4": "f", "f8": "d", "u1": "B", "u2": "H", "i4": "i"}
_NAN = math.nan
_OK = STATUSES.index("ok")
_NOT_MEASURED = "not_measured"


class Store:
    """One store folder, mapped read-only.

    Parameters
    ----------
    folder : str or Path

    Attributes
    ----------
    release, fingerprint : str
        Of the data: its name, and a hash over its sorted logical values.
    columns : list of Column
    devices : dict
        The compiled device catalogue: name to record.
    sources : dict
        Source id to title, repository, commit, licence, citation, priority.
    defaults : dict
        Space name to the constants of its TOML.

    Raises
    ------
    CorruptFile
        When a file is missing, malformed or truncated.
    StaleStore
        When the format is another version's or the byte order is not this machine's.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = os.fspath(folder)
        index = self._read_index()
        try:
            self._fill(index)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            if isinstance(error, CorruptFile):
                raise
            raise CorruptFile(f"{self.folder}/{INDEX_FILE} is damaged ({error!r}); build it again") from error

    def _fill(self, index: dict[str, Any]) -> None:
        self.release: str = index["release"]
        self.fingerprint: str = index["fingerprint"]
        self.devices: dict[str, dict[str, Any]] = index["devices"]
        self.sources: dict[str, dict[str, Any]] = index["sources"]
        self.defaults: dict[str, dict[str, Any]] = index["defaults"]
        self.inputs: dict[str, Any] = index["inputs"]
        self._arrays: list[list[Any]] = index["arrays"]
        self._order: dict[str, int] = index["order"]
        self.sha256: str = index["sha256"]
        self._bytes = self._map(index["bytes"])
        self._views: dict[int, memoryview] = {}
        self.columns = [_LAYOUTS[record["layout"]](self, record) for record in index["columns"]]

    def _read_index(self) -> dict[str, Any]:
        path = os.path.join(self.folder, INDEX_FILE)
        try:
            with open(path, encoding="utf-8") as handle:
                index = json.load(handle)
            found = index["format"]
        except OSError as error:
            why = f"{INDEX_FILE} cannot be read ({error.strerror})"
            raise CorruptFile(f"{self.folder} holds no column store: {why}; build it again") from None
        except (ValueError, TypeError, KeyError) as error:
            raise CorruptFile(f"{path} is damaged ({error}); build it again") from error
        if found != FORMAT:
            raise StaleStore(f"{path} has format {found!r}, expected {FORMAT!r}; run `hwnasbench build` again")
        if sys.byteorder != "little":
            raise StaleStore(f"{path} holds little-endian columns; this machine is {sys.byteorder}-endian")
        return index  # type: ignore[no-any-return]

    def _map(self, expected: int) -> memoryview:
        path = os.path.join(self.folder, DATA_FILE)
        try:
            with open(path, "rb") as handle:
                size = os.fstat(handle.fileno()).st_size
                mapped = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        except OSError as error:
            raise CorruptFile(f"{path} cannot be mapped ({error.strerror}); build it again") from error
        if size != expected:
            raise CorruptFile(f"{path} has {size} bytes, expected {expected}; build it again")
        return memoryview(mapped)

    def verify(self) -> None:
        """Check every stored byte against the recorded SHA-256.

        Raises
        ------
        CorruptFile
            When a byte was changed.
        """
        import hashlib

        found = hashlib.sha256(self._bytes).hexdigest()
        if found != self.sha256:
            raise CorruptFile(f"{self.folder}/{DATA_FILE} has SHA-256 {found}, expected {self.sha256}; build it again")

    def array(self, number: int) -> memoryview:
        """Return the stored array `number` as a typed read-only memoryview."""
        view = self._views.get(number)
        if view is None:
            kind, offset, count = self._arrays[number]
            code = _TYPES[kind]
            view = self._bytes[offset : offset + count * array(code).itemsize].cast(code)
            self._views[number] = view
        return view

    def numpy(self, number: int) -> NDArray[Any]:
        """Return the stored array `number` as a read-only NumPy view of the mapped bytes."""
        import numpy as np

        kind, offset, count = self._arrays[number]
        return np.frombuffer(self._bytes, "<" + kind, count, offset)

    def order(self, space: str) -> memoryview:
        """Return the published index of each code of an enumerable space."""
        return self.array(self._order[space])


_OPEN: dict[str, Store] = {}


def open_store(folder: str) -> Store:
    """Return the store in `folder`, mapped once a process."""
    if folder not in _OPEN:
        _OPEN[folder] = Store(folder)
    return _OPEN[folder]


class Column:
    """One metric on one device, data set, batch, precision and source, over a whole space.

    Attributes
    ----------
    space, metric, source, kind : str
        `kind` is the most trusted kind among its rows.
    of : str or None
        For predicted columns: the kind of the values they were fitted to.
    keys : dict
        Every key of `hwnasbench.vocabulary.KEYS`, None where it is not stated.
    flags : tuple of str
        Caveats on every row.
    count : int or None
        Rows with a value; None for a model that answers for every architecture.
    """

    def __init__(self, store: Store, record: dict[str, Any]) -> None:
        self.store = store
        self.space: str = record["space"]
        self.metric: str = record["metric"]
        self.source: str = record["source"]
        self.kind: str = record["kind"]
        self.kinds: tuple[str, ...] = tuple(record.get("kinds", (self.kind,)))
        self.of: str | None = record.get("of")
        keys = record["keys"]
        self.keys: dict[str, str | int | None] = {key: keys.get(key) for key in KEYS}
        self.flags: tuple[str, ...] = tuple(record.get("flags", ()))
        self.count: int | None = record.get("count")
        self.priority: int = store.sources.get(self.source, {}).get("priority", 0)
        self._record = record

    def read(self, where: Any) -> float:
        """Return the value of one architecture; NaN where there is only a status."""
        raise NotImplementedError

    def status(self, where: Any) -> str:
        """Return the status of one architecture."""
        raise NotImplementedError

    def kind_at(self, where: Any) -> str:
        """Return the kind of one row."""
        return self.kind

    def flags_at(self, where: Any) -> tuple[str, ...]:
        """Return the caveats on one row."""
        return self.flags

    def std_at(self, where: Any) -> float | None:
        """Return the spread of the true value given all we know, or None where nobody knows."""
        return None

    def noise_at(self, where: Any) -> float | None:
        """Return the repeatability of one measurement, or None where it is not stated."""
        return None

    def repeats_at(self, where: Any) -> int | None:
        """Return how many runs the value is the mean of, or None where it is not stated."""
        return None

    def describe(self) -> dict[str, Any]:
        """Return what tells the column apart, as a plain dictionary."""
        return {
            "space": self.space,
            "metric": self.metric,
            **self.keys,
            "kind": self.kind,
            "of": self.of,
            "source": self.source,
            "flags": ";".join(self.flags),
            "count": self.count,
        }

    def __repr__(self) -> str:
        keys = ", ".join(f"{k}={v}" for k, v in self.keys.items() if v is not None)
        return f"<column {self.metric} of {self.space}: {keys}; {self.kind}, {self.source}>"


class _TableColumn(Column):
    """A column with one stored entry a row; subclasses say which row an architecture is."""

    def __init__(self, store: Store, record: dict[str, Any]) -> None:
        super().__init__(store, record)
        self.values = store.array(record["values"])

    def _optional(self, name: str) -> memoryview | None:
        number = self._record.get(name)
        return None if number is None else self.store.array(number)

    def row(self, where: Any) -> int | None:
        """Return the row of an architecture, or None where the column does not hold it."""
        raise NotImplementedError

    def read(self, where: Any) -> float:
        row = self.row(where)
        return _NAN if row is None else self.values[row]

    def status(self, where: Any) -> str:
        row, codes = self.row(where), self._optional("status")
        if row is None:
            return _NOT_MEASURED
        return STATUSES[_OK if codes is None else codes[row]]

    def kind_at(self, where: Any) -> str:
        row, codes = self.row(where), self._optional("kind_codes")
        return self.kind if codes is None or row is None else KINDS[codes[row]]

    def flags_at(self, where: Any) -> tuple[str, ...]:
        row, codes = self.row(where), self._optional("flag_codes")
        if codes is None or row is None:
            return self.flags
        text = self._record["flag_words"][codes[row]]
        return tuple(text.split(";")) if text else ()

    def std_at(self, where: Any) -> float | None:
        return self._spread_at("std", where)

    def noise_at(self, where: Any) -> float | None:
        return self._spread_at("noise", where)

    def _spread_at(self, name: str, where: Any) -> float | None:
        row, stored = self.row(where), self._optional(name)
        if stored is None or row is None:
            constant = self._record.get(f"{name}_constant")
            return None if constant is None or row is None else float(constant)
        value: float = stored[row]
        return value if value == value else None

    def repeats_at(self, where: Any) -> int | None:
        row, repeats = self.row(where), self._optional("n")
        if repeats is None or row is None:
            return self._record.get("n_constant")
        return repeats[row] or None

    # -- vectors ------------------------------------------------------------------------------

    def vector(self) -> NDArray[Any]:
        """Return all values as a read-only NumPy view; NaN where there is only a status."""
        return self.store.numpy(self._record["values"])

    def statuses(self) -> NDArray[np.uint8] | None:
        """Return the status codes, or None where every row has a value."""
        number = self._record.get("status")
        return None if number is None else self.store.numpy(number)

    def kind_codes(self) -> NDArray[np.uint8] | None:
        """Return the positions in `KINDS` row by row, or None where all rows have one kind."""
        number = self._record.get("kind_codes")
        return None if number is None else self.store.numpy(number)


class DenseColumn(_TableColumn):
    """A column over an enumerable space: row = published index."""

    def row(self, where: Any) -> int:
        return where  # type: ignore[no-any-return]

    def read(self, where: Any) -> float:
        return self.values[where]  # type: ignore[no-any-return]


class RowsColumn(_TableColumn):
    """A column over listed architectures of a space without an index.

    Where several decision vectors name one network, each of them finds its row.
    """

    def __init__(self, store: Store, record: dict[str, Any]) -> None:
        super().__init__(store, record)
        self._rows: dict[bytes, int] | None = None

    def row(self, where: Any) -> int | None:
        if self._rows is None:
            self._rows = self._read_rows()
        row = self._rows.get(bytes(where))
        return self._rows.get(bytes(spaces.get(self.space).canonical_vector(where))) if row is None else row

    def _read_rows(self) -> dict[bytes, int]:
        positions = self._record["positions"]
        blob = bytes(self.store.array(self._record["archs"]))
        return {blob[i * positions : (i + 1) * positions]: i for i in range(len(blob) // positions)}

    def rows(self, vectors: NDArray[np.int8]) -> NDArray[np.intp]:
        """Return the row of each decision vector; -1 where the column does not hold it."""
        import numpy as np

        if self._rows is None:
            self._rows = self._read_rows()
        rows, vectors = self._rows, spaces.get(self.space).canonical_vectors(vectors)
        return np.fromiter((rows.get(v.tobytes(), -1) for v in vectors), np.intp, count=len(vectors))


class LookupColumn(Column):
    """An additive model of a layer-wise space, evaluated by `hwnasbench.predictors.lookup`.

    Decisions that name one network have one value: that of the canonical ones.
    """

    def __init__(self, store: Store, record: dict[str, Any]) -> None:
        super().__init__(store, record)
        self.link: str = record["link"]
        self.choices: int = record["choices"]
        self.intercept: float = record["intercept"]
        self._rows: list[list[float]] | None = None

    def table(self) -> list[list[float]]:
        """Return the cost of every (position, choice), as nested lists."""
        if self._rows is None:
            flat: list[float] = list(self.store.array(self._record["values"]))
            self._rows = [flat[i : i + self.choices] for i in range(0, len(flat), self.choices)]
        return self._rows

    def coefficients(self) -> NDArray[np.float64]:
        """Return the cost of every (position, choice), shape (positions, choices)."""
        return self.store.numpy(self._record["values"]).reshape(-1, self.choices)

    def read(self, where: tuple[int, ...]) -> float:
        vector = spaces.get(self.space).canonical_vector(where)
        return evaluate(self.table(), self.intercept, self.link, vector)

    def status(self, where: Any) -> str:
        return STATUSES[_OK]

    def std_at(self, where: Any) -> float | None:
        std = self._record.get("std")
        if std is None:
            return None
        return float(std) * abs(self.read(where)) if self.link == "exp" else float(std)


_LAYOUTS = {"dense": DenseColumn, "rows": RowsColumn, "lookup": LookupColumn}
