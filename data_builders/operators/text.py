"""Reading a published text file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.errors import CorruptFile

if TYPE_CHECKING:
    from pathlib import Path


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises
    ------
    CorruptFile
        When it is not UTF-8, or empty.
    """
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CorruptFile(f"{path} is not text: {error}") from error
    if not text.strip():
        raise CorruptFile(f"{path} is empty")
    return text
