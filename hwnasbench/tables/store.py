"""The column store: raw little-endian columns and one index, memory-mapped.

It is derived from the Parquet tables by `hwnasbench.tables.store_builder`; the tables are the
truth. Reading one number touches one page of one file and imports nothing beyond the standard
library; vectors are NumPy views of the same bytes.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
from array import array

from hwnasbench.errors import CorruptFile, StaleStore
from hwnasbench.tables.columns import LAYOUTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

#: Raised when the layout of the store's files changes.
FORMAT = "hwnasbench-store/2"
INDEX_FILE = "index.json"
DATA_FILE = "columns.bin"

_TYPES: dict[str, Any] = {"f4": "f", "f8": "d", "u1": "B", "u2": "H", "i4": "i"}


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
        self.columns = [LAYOUTS[record["layout"]](self, record) for record in index["columns"]]

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
