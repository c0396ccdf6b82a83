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
    "resnet": ("hwnasbench.spaces.resnet", "ResNet"),
    "shufflenetv2": ("hwnasbench.spaces.shufflenetv2", "ShuffleNetV2"),
    "darts": ("hwnasbench.spaces.darts", "Darts"),
    "nasbench101": ("hwnasbench.spaces.nasbench101", "NasBench101"),
    "mobilenetv2": ("hwnasbench.spaces.mobilenetv2", "MobileNetV2"),
    "proxylessnas": ("hwnasbench.spaces.proxylessnas", "ProxylessNAS"),
    "ofa_mobilenetv3": ("hwnasbench.spaces.ofa_mobilenetv3", "OFAMobileNetV3"),
    "mnasnet": ("hwnasbench.spaces.mnasnet", "MnasNet"),
    "nasbench_macro": ("hwnasbench.spaces.nasbench_macro", "NASBenchMacro"),
    "efficientnet": ("hwnasbench.spaces.efficientnet", "EfficientNet"),
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
