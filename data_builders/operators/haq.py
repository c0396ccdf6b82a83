"""HAQ's look-up table: MobileNetV2, layer by layer, at each width of weights and activations from 1 to 8 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

FILE = "lib/simulator/lookup_tables/qmobilenetv2_imagenet100_batch16_latency_table.npy"


@dataclass(frozen=True)
class Row:
    """One layer (from 0) at one pair of bit widths, and its latency in the table's own unit."""

    layer: int
    weight_bits: int
    activation_bits: int
    latency: float


def table(root: Path) -> NDArray[np.int64]:
    """Return the latencies: (layer, weight bits - 1, activation bits - 1).

    Raises
    ------
    CorruptFile
        When the shape is another or a latency is not positive.
    """
    found: NDArray[np.int64] = np.load(root / FILE)
    if found.shape != (53, 8, 8) or not (found > 0).all():
        raise CorruptFile(f"{FILE} holds {found.shape}, not 53 x 8 x 8 positive latencies")
    return found


def rows(root: Path) -> Iterator[Row]:
    """Yield every layer at every pair of widths, from the folder of the source."""
    for (layer, weight, activation), value in np.ndenumerate(table(root)):
        yield Row(layer, weight + 1, activation + 1, float(value))
