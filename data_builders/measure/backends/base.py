"""What a back-end is: it turns a network into something that can be run, and run again, on fixed inputs."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from data_builders.measure import meters
from hwnasbench.errors import UnknownName

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.networks.layers import Network


class Runner(ABC):
    """One network, prepared."""

    @abstractmethod
    def run(self) -> None:
        """Run one inference on the fixed inputs, and wait until it is done."""

    @abstractmethod
    def output(self) -> NDArray[np.float32]:
        """Return the logits, (batch, classes), of the fixed inputs."""

    def seconds(self) -> float:
        """Return how long one inference takes now."""
        started = time.perf_counter()
        self.run()
        return time.perf_counter() - started

    def repeat(self, seconds: float) -> int:
        """Run for a while; return how many inferences that were."""
        count, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            self.run()
            count += 1
        return count


class Backend(ABC):
    """One inference engine on one processor.

    Attributes
    ----------
    name : str
    engine : str
        As tables and queries name it.
    precisions : tuple of str
    cache : Path, optional
        Folder where the engine may keep what it made of a network, for processes that load the same one later. Engines
        that cannot ignore it.
    """

    name: str
    engine: str
    precisions: tuple[str, ...]
    cache: Path | None = None

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Return the versions of the libraries that the time may depend on."""

    @abstractmethod
    def prepare(self, network: Network, precision: str, batch: int, threads: int) -> Runner:
        """Load a network without its dead layers.

        Raises
        ------
        UnknownName
            For a precision that the engine does not run.
        Unmeasurable
            When the engine refuses the network.
        """

    def accelerator(self) -> str:
        """Return the name of the device that runs networks; empty where it is the processor itself."""
        return ""

    def arena(self, network: Network, precision: str, batch: int, threads: int) -> int | None:
        """Return the bytes that an inference uses of the engine's arena, at most; None where the engine does not tell.

        Raises
        ------
        UnknownName, Unmeasurable
            As `prepare` does.
        """
        return None

    def meter(self) -> meters.Meter | None:
        """Return the energy meter of what it runs on; None where there is none: the processor's packages by default."""
        return meters.rapl()

    def check(self, precision: str) -> None:
        """Refuse a precision that the engine does not run."""
        if precision not in self.precisions:
            raise UnknownName(f"precision of {self.name}", precision, self.precisions)
