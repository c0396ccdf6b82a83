"""The user's own store: find the current one and refuse a stale one."""

from __future__ import annotations

import os

from hwnasbench.errors import CorruptFile, NoColumn, StaleStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

_POINTER = "CURRENT"


def current_store(home: Path, required: bool = False) -> Path | None:
    """Return the folder of the store that was built last under `home`, or None.

    Parameters
    ----------
    home : Path
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
    pointer = home / "store" / _POINTER
    try:
        name = pointer.read_text("utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        if required:
            raise NoColumn(f"nothing was built under {home}; run `hwnasbench fetch` and `hwnasbench build`") from None
        return None
    folder = home / "store" / name
    if not name or "/" in name or os.sep in name or not folder.is_dir():
        raise CorruptFile(f"{pointer} names {name!r}, which is no store; run `hwnasbench build` again")
    _refuse_stale(folder, home)
    return folder


def _refuse_stale(folder: Path, home: Path) -> None:
    import json

    try:
        inputs = json.loads((folder / "index.json").read_text("utf-8"))["inputs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptFile(f"{folder} is damaged ({error}); run `hwnasbench build` again") from error
    found = {}
    for path in (home / "tables").rglob("*.parquet"):
        stat = path.stat()
        found[path.relative_to(home).as_posix()] = [stat.st_size, stat.st_mtime_ns]
    if found != inputs:
        changed = sorted({name for name in {*found, *inputs} if found.get(name) != inputs.get(name)})
        raise StaleStore(f"the store is older than {changed[0]}; run `hwnasbench build` again")
