"""The user's own store: find the current one and refuse a stale one."""

from __future__ import annotations

import os

from hwnasbench.errors import CorruptFile, NoColumn, StaleStore

#: Names the store that was built last.
POINTER_FILE = "CURRENT"
#: Folders of the data folder that hold tables.
USER_TABLES = ("tables", "lookups")


def current_store(home: str, required: bool = False) -> str | None:
    """Return the folder of the store that was built last under `home`, or None.

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
        When the pointer names a store that is not there.
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
    _refuse_stale(folder, home)
    return folder


def _refuse_stale(folder: str, home: str) -> None:
    import json

    try:
        with open(os.path.join(folder, "index.json"), encoding="utf-8") as handle:
            inputs = json.load(handle)["inputs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptFile(f"{folder} is damaged ({error}); run `hwnasbench build` again") from error
    found = {}
    for part in USER_TABLES:
        for base, _, files in os.walk(os.path.join(home, part)):
            for path in (os.path.join(base, file) for file in files if file.endswith(".parquet")):
                stat = os.stat(path)
                found[os.path.relpath(path, home).replace(os.sep, "/")] = [stat.st_size, stat.st_mtime_ns]
    if found != inputs:
        changed = sorted({name for name in {*found, *inputs} if found.get(name) != inputs.get(name)})
        raise StaleStore(f"the store is older than {changed[0]}; run `hwnasbench build` again")
