"""Spaces of architectures, behind one protocol.

>>> from hwnasbench import spaces
>>> space = spaces.get("nasbench201")
>>> len(space)
15625
"""

from __future__ import annotations

from hwnasbench.errors import UnknownName
from hwnasbench.spaces.base import Architecture, Space

__all__ = ["Architecture", "Space", "get", "names"]

#: One line a space: its name and where its class lives.
_REGISTRY = {
    "nasbench201": ("hwnasbench.spaces.nasbench201", "NasBench201"),
    "fbnet": ("hwnasbench.spaces.fbnet", "FBNet"),
}
_INSTANCES: dict[str, Space] = {}


def names() -> list[str]:
    """Return the names of the registered spaces, sorted."""
    return sorted(_REGISTRY)


def get(name: str) -> Space:
    """Return the space called `name`.

    Parameters
    ----------
    name : str
        A registered name; see `names`.

    Returns
    -------
    Space
        The one instance of that space.

    Raises
    ------
    UnknownName
        When no space has that name.
    """
    space = _INSTANCES.get(name)
    if space is None:
        if name not in _REGISTRY:
            raise UnknownName("space", name, _REGISTRY)
        import importlib

        module, attribute = _REGISTRY[name]
        space = _INSTANCES[name] = getattr(importlib.import_module(module), attribute)()
    return space
