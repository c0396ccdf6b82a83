"""Where data lives: the package's own data, and the user's data folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: What ships inside the package.
PACKAGE_DATA = Path(__file__).parent / "data"


def home() -> Path:
    r"""Return the user's data folder: ``HWNASBENCH_HOME``, or the platform's user data folder.

    The folder need not exist. On Linux it is ``$XDG_DATA_HOME/hwnasbench`` (default
    ``~/.local/share``), on macOS ``~/Library/Application Support/hwnasbench``, on Windows
    ``%LOCALAPPDATA%\hwnasbench``.
    """
    chosen = os.environ.get("HWNASBENCH_HOME")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "hwnasbench"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "hwnasbench"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "hwnasbench"
