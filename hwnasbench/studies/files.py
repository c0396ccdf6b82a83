"""Small files, written whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.tables.write import atomically

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, content: bytes | str) -> None:
    """Write a file; text as UTF-8.

    Raises
    ------
    StorageError
    """
    raw = content.encode() if isinstance(content, str) else content
    atomically(path, lambda temporary: temporary.write_bytes(raw))
