"""Reading published text files."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from hwnasbench.errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Iterator
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


def read_csv(path: Path) -> Iterator[dict[str, str]]:
    """Yield the records of a table with a header; see `read_text`."""
    yield from csv.DictReader(read_text(path).splitlines())
