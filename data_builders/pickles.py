"""Read published pickles without running them.

A pickle is a program. This reader resolves only the names of an explicit allow-list, so that a
hostile file fails with `UnsafePickle` before anything of it has run. pandas objects are read into
stubs of our own, so that files written by old pandas read alike under every pandas, or none.
"""

from __future__ import annotations

import collections
import importlib
import io
import pickle
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import CorruptFile, HwnasbenchError, UnsafePickle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Allowed = Mapping[tuple[str, str], object]


class Stub:
    """Stands in for a class of the file: keeps the arguments and the state, does nothing.

    Every stub defines ``__setstate__``, so that a pickle cannot set attributes of the class itself.
    """

    def __init__(self, *args: object) -> None:
        self.args = args
        self.state: Any = None

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Latin1(bytes):
    """``_codecs.encode`` as NumPy uses it for byte strings in old protocols, and only so."""

    def __new__(cls, text: str, encoding: str = "latin1") -> Any:
        if encoding != "latin1":
            raise UnsafePickle(f"the pickle asks for the codec {encoding!r}; expected 'latin1'")
        return text.encode("latin1")

    def __setstate__(self, state: object) -> None:
        raise UnsafePickle("the pickle sets the state of a byte string")


class _IndexStub(Stub):
    pass


class _NewIndex(Stub):
    """``pandas.core.indexes.base._new_Index(cls, {"data": ..., "name": ...})``."""

    def labels(self) -> list[str]:
        """Return the labels of the index."""
        _, fields = self.args
        if not isinstance(fields, dict) or "data" not in fields:
            raise CorruptFile("the table's columns are not a plain index")
        return [str(label) for label in fields["data"]]


class _BlockManager(Stub):
    pass


class _DataFrame(Stub):
    pass


def _numpy() -> dict[tuple[str, str], object]:
    multiarray = importlib.import_module("numpy._core.multiarray")
    numeric = importlib.import_module("numpy._core.numeric")
    allowed: dict[tuple[str, str], object] = {("numpy", "dtype"): np.dtype, ("numpy", "ndarray"): np.ndarray}
    # NumPy 1 wrote numpy.core, NumPy 2 writes numpy._core.
    for package in ("numpy.core", "numpy._core"):
        allowed[f"{package}.multiarray", "scalar"] = multiarray.scalar
        allowed[f"{package}.multiarray", "_reconstruct"] = multiarray._reconstruct
        allowed[f"{package}.numeric", "_frombuffer"] = numeric._frombuffer
    allowed["_codecs", "encode"] = _Latin1
    return allowed


#: Scalars, arrays and the two ordered containers: what a plain data pickle needs.
PLAIN: Allowed = {
    **_numpy(),
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
}
#: What a DataFrame pickled by pandas 0.24 to 2 names besides NumPy.
PANDAS: Allowed = {
    **PLAIN,
    ("builtins", "slice"): slice,
    ("pandas.core.frame", "DataFrame"): _DataFrame,
    ("pandas.core.internals.managers", "BlockManager"): _BlockManager,
    ("pandas.core.indexes.base", "_new_Index"): _NewIndex,
    ("pandas.core.indexes.base", "Index"): _IndexStub,
    ("pandas.core.indexes.range", "RangeIndex"): _IndexStub,
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, allowed: Allowed, path: str) -> None:
        super().__init__(io.BytesIO(data))
        self._allowed = allowed
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[module, name]
        except KeyError:
            raise UnsafePickle(
                f"{self._path}: the pickle names {module}.{name}, which is not on the allow-list; nothing was run"
            ) from None

    def persistent_load(self, pid: object) -> Any:
        raise UnsafePickle(f"{self._path}: the pickle refers to an object outside itself ({pid!r})")


def loads(data: bytes, allowed: Allowed = PLAIN, path: str = "pickle") -> Any:
    """Unpickle `data`, resolving only the names in `allowed`.

    Parameters
    ----------
    data : bytes
        The pickle.
    allowed : mapping of (module, name) to object
        What the pickle may name; `PLAIN`, `PANDAS`, or one of these with stubs added.
    path : str
        Named in the error.

    Raises
    ------
    UnsafePickle
        When it names anything else. Nothing of it was run.
    CorruptFile
        When it is truncated or malformed.
    """
    try:
        return _Unpickler(data, allowed, path).load()
    except HwnasbenchError:
        raise
    except Exception as error:  # a malformed pickle can raise anything
        raise CorruptFile(f"{path} is no whole pickle: {type(error).__name__}: {error}") from error


def load(path: Path, allowed: Allowed = PLAIN) -> Any:
    """Unpickle the file at `path`; see `loads`."""
    return loads(path.read_bytes(), allowed, str(path))


def load_pt(path: Path, allowed: Allowed = PLAIN) -> Any:
    """Read a ``.pt`` file of plain Python objects (a zip archive with a pickle in it) without torch."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(names) != 1:
                raise CorruptFile(f"{path} holds {len(names)} files data.pkl; expected 1")
            data = archive.read(names[0])
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise CorruptFile(f"{path} is no whole .pt archive: {error}") from error
    return loads(data, allowed, str(path))


def load_frame(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Read a pickled pandas DataFrame as a dict of columns, without building pandas objects.

    Raises
    ------
    CorruptFile
        When it is no DataFrame of plain blocks.
    """
    frame = load(path, PANDAS)
    try:
        return _columns(frame)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise CorruptFile(f"{path} is no pickled table of plain columns: {type(error).__name__}: {error}") from error


def _columns(frame: Any) -> dict[str, np.ndarray[Any, Any]]:
    if not isinstance(frame, _DataFrame):
        raise TypeError(f"a {type(frame).__name__}, expected a DataFrame")
    # pandas 0.24 to 1.1 call the attribute _data, later ones _mgr.
    manager = frame.state["_data"] if "_data" in frame.state else frame.state["_mgr"]
    content = manager.state[3]["0.14.1"]
    labels = content["axes"][0].labels()
    out: dict[str, np.ndarray[Any, Any]] = {}
    for block in content["blocks"]:
        where = block["mgr_locs"]
        positions = range(len(labels))[where] if isinstance(where, slice) else [int(p) for p in where]
        for position, row in zip(positions, block["values"], strict=True):
            out[labels[position]] = row
    return {label: out[label] for label in labels}
