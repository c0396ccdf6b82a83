"""The constants of each space's TOML: what a key is where a request does not name it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from hwnasbench.errors import CorruptFile, UnknownName
from hwnasbench.vocabulary import KEYS, METRICS, SCOPE_KEYS

_PARTS = ("defaults", "defaults_at", "defaults_for", "sources")


def load_defaults(folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """Read every space's TOML file.

    Returns
    -------
    dict
        Space name to ``{"defaults": {key: value}, "defaults_at": {precision: {key: value}},
        "defaults_for": {scope: {key: value}}, "sources": {metric: source}}``.

    Raises
    ------
    CorruptFile
        When a file is no TOML or names an unknown key, scope or metric.
    """
    out: dict[str, dict[str, Any]] = {}
    for path in sorted((folder or Path(__file__).parent / "catalog").glob("*.toml")):
        try:
            record = tomllib.loads(path.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise CorruptFile(f"{path} is not TOML: {error}") from error
        groups = [record.get("defaults", {})]
        groups += [group for part in ("defaults_at", "defaults_for") for group in record.get(part, {}).values()]
        for key in (key for group in groups for key in group):
            if key not in KEYS:
                raise CorruptFile(f"{path}: {UnknownName('key', key, KEYS)}")
        for scope in record.get("defaults_for", {}):
            if scope not in SCOPE_KEYS:
                raise CorruptFile(f"{path}: {UnknownName('scope', scope, SCOPE_KEYS)}")
        for metric in record.get("sources", {}):
            if metric not in METRICS:
                raise CorruptFile(f"{path}: {UnknownName('metric', metric, METRICS)}")
        out[path.stem] = {part: record.get(part, {}) for part in _PARTS}
    return out
