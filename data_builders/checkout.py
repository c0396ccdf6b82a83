"""Of which commit this code is."""

from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path


def commit() -> str:
    """Return the commit of this library's checkout, or its version where it is none."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return f"version {metadata.version('hwnasbench')}"
