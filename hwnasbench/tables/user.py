"""The user's own store: find the current one and refuse a stale one."""

from __future__ import annotations

import os

from hwnasbench.errors import CorruptFile, NoColumn, StaleStore
from hwnasbench.tables.store import Store, open_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Names the store that was built last.
POINTER_FILE = "CURRENT"
#: Folders of the data folder that hold tables.
USER_TABLES = ("tables", "lookups")


def current_store(home: str, required: bool = False) -> Store | None:
    """Return the store that was built last under `home`, or None.

    Parameters
    ----------
    home : str
        The data folder.
    required : bool
        Raise where nothing was built.

    Raises
    ------
    NoColumn
        When `required` and nothing was built.
    CorruptFile
        When the pointer names a store that is not there, or that is damaged.
    StaleStore
        When a table was changed, added or removed after the store was built.
    """
    pointer = os.path.join(home, "store", POINTER_FILE)
    try:
        with open(pointer, encoding="utf-8") as handle:
            name = handle.read().strip()
    except (FileNotFoundError, NotADirectoryError):
        if required:
            raise NoColumn(f"nothing was built under {home}; run `hwnasbench fetch` and `hwnasbench build`") from None
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{pointer} cannot be read ({error}); run `hwnasbench build` again") from error
    folder = os.path.join(home, "store", name)
    if not name or name != os.path.basename(name) or name in (".", "..") or not os.path.isdir(folder):
        raise CorruptFile(f"{pointer} names {name!r}, which is no store; run `hwnasbench build` again")
    store = open_store(folder)
    _refuse_stale(store.inputs, home)
    return store


def _refuse_stale(inputs: dict[str, Any], home: str) -> None:
    found = {}
    for part in USER_TABLES:
        for base, _, files in os.walk(os.path.join(home, part)):
            for path in (os.path.join(base, file) for file in files if file.endswith(".parquet")):
                stat = os.stat(path)
                found[os.path.relpath(path, home).replace(os.sep, "/")] = [stat.st_size, stat.st_mtime_ns]
    if found != inputs:
        changed = sorted({name for name in {*found, *inputs} if found.get(name) != inputs.get(name)})
        raise StaleStore(f"the store is older than {changed[0]}; run `hwnasbench build` again")
