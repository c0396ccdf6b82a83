"""Oracles: other people's simulators and compilers, asked about single layers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

from hwnasbench.errors import UnknownName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: One line an oracle: its name and where its class lives.
BACKENDS = {
    "scalesim": ("data_builders.simulate.scalesim", "ScaleSim"),
    "vela": ("data_builders.simulate.vela", "Vela"),
    "zigzag": ("data_builders.simulate.zigzag", "ZigZag"),
}


class Backend(Protocol):
    """What a run needs of an oracle.

    Attributes
    ----------
    name : str
        Of the oracle, and of its table.
    targets : tuple of str
        The hardware that it speaks of.
    """

    name: str
    targets: tuple[str, ...]

    def version(self) -> str:
        """Return the version of the tool; MissingExtra where it is not installed."""
        ...

    def settings(self) -> dict[str, str]:
        """Return what the numbers depend on beside the layer, one text for each target."""
        ...

    def evaluate_many(self, layers: NDArray[np.void], target: str) -> list[dict[str, object]]:
        """Return one answer a layer: ``status``, and the numbers where it is ``ok``."""
        ...


def get(name: str) -> Backend:
    """Return the oracle called `name`.

    Raises
    ------
    UnknownName
        When no oracle has that name.
    """
    if name not in BACKENDS:
        raise UnknownName("oracle", name, BACKENDS)
    module, attribute = BACKENDS[name]
    return cast("Backend", getattr(importlib.import_module(module), attribute)())
