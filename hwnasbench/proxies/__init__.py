"""Zero-cost proxies: scores of an untrained network, from a few passes of one batch.

>>> from hwnasbench import proxies
>>> "synflow" in proxies.names()
True

A proxy is a function of a network (a PyTorch module), a batch and a generator, and returns a float:

>>> def my_proxy(network, batch, rng):
...     return float(network(batch.images).detach().std())

`compare` sets it against all others, also on a `Batch` of your own; see docs/proxies.md. Only evaluating needs PyTorch
(``pip install 'hwnasbench[torch]'``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.errors import UnknownName

if TYPE_CHECKING:
    from hwnasbench.proxies.base import Batch, Proxy
    from hwnasbench.proxies.comparison import compare

__all__ = ["Batch", "Proxy", "compare", "get", "names"]
_HOMES = {"Batch": "base", "Proxy": "base", "compare": "comparison"}

#: One line a proxy: its name and where its function lives.
_REGISTRY = {
    "params": ("hwnasbench.proxies.counts", "params"),
    "macs": ("hwnasbench.proxies.counts", "macs"),
    "synflow": ("hwnasbench.proxies.synflow", "synflow"),
    "snip": ("hwnasbench.proxies.saliency", "snip"),
    "plain": ("hwnasbench.proxies.saliency", "plain"),
    "grad_norm": ("hwnasbench.proxies.saliency", "grad_norm"),
    "l2_norm": ("hwnasbench.proxies.saliency", "l2_norm"),
    "fisher": ("hwnasbench.proxies.fisher", "fisher"),
    "grasp": ("hwnasbench.proxies.grasp", "grasp"),
    "jacob_cov": ("hwnasbench.proxies.jacobian", "jacob_cov"),
    "epe_nas": ("hwnasbench.proxies.jacobian", "epe_nas"),
    "naswot": ("hwnasbench.proxies.naswot", "naswot"),
    "zen": ("hwnasbench.proxies.zen", "zen"),
}


def names() -> list[str]:
    """Return the names of the registered proxies, sorted."""
    return sorted(_REGISTRY)


def get(name: str) -> Proxy:
    """Return the proxy called `name`.

    Raises
    ------
    UnknownName
        When no such proxy is registered.
    MissingExtra
        When PyTorch is not installed.
    """
    import importlib

    try:
        module, attribute = _REGISTRY[name]
    except (KeyError, TypeError):
        raise UnknownName("proxy", name, _REGISTRY) from None
    found: Proxy = getattr(importlib.import_module(module), attribute)
    return found


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
