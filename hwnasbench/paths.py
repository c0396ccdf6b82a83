"""Where data lives: the package's own data, and the user's data folder.

pathlib is imported only where a path is asked for: it takes as long to load as everything else on
the way to a first answer.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    #: What ships inside the package.
    PACKAGE_DATA: Path


def shipped_store() -> str:
    """Return the folder of the column store that ships inside the package."""
    return os.path.join(os.path.dirname(__file__), "data", "store")


def home_folder() -> str:
    r"""Return the user's data folder: ``HWNASBENCH_HOME``, or the platform's user data folder.

    The folder need not exist. On Linux it is ``$XDG_DATA_HOME/hwnasbench`` (default
    ``~/.local/share``), on macOS ``~/Library/Application Support/hwnasbench``, on Windows
    ``%LOCALAPPDATA%\hwnasbench``.
    """
    chosen = os.environ.get("HWNASBENCH_HOME")
    if chosen:
        return os.path.expanduser(chosen)
    user = os.path.expanduser("~")
    if sys.platform == "darwin":
        base = os.path.join(user, "Library", "Application Support")
    elif sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", user)
    else:
        base = os.environ.get("XDG_DATA_HOME") or os.path.join(user, ".local", "share")
    return os.path.join(base, "hwnasbench")


def home() -> Path:
    """Return `home_folder` as a path."""
    from pathlib import Path

    return Path(home_folder())


def __getattr__(name: str) -> Path:
    if name == "PACKAGE_DATA":
        from pathlib import Path

        return Path(__file__).parent / "data"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
