"""Random networks on a Jetson Nano, with latency and energy: samples for the fit in `surrogates.fits.roofline`.

No other published energy at hand is fitted here: HW-NAS-Bench-360's is a column, and PlatformX's values
are of whole runs (see `data_builders.operators.platformx`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_builders.operators import icas_jetson
from surrogates.fits.samples import Stack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from data_builders.operators.icas_jetson import Row

DEVICE = "jetson_nano"
#: How many of the random networks a fit looks at, and the seed that draws them.
NETWORKS = 2500
SEED = 20203


def rows(sources: Path) -> tuple[list[Row], list[Row]]:
    """Return `NETWORKS` random networks in the order of the files, and the well-known ones."""
    found = list(icas_jetson.rows(sources / "icas_jetson"))
    random = [row for row in found if row.loop_latency is not None]
    drawn = np.sort(np.random.default_rng(SEED).permutation(len(random))[:NETWORKS])
    return [random[at] for at in drawn], [row for row in found if row.loop_latency is None]


def samples(sources: Path) -> dict[str, Stack]:
    """Return the drawn networks with ``latency`` in ms and ``energy`` in mJ, both of the same minute of calls, in fp32.

    Latency includes the copies to and from the GPU; energy is that of GPU and CPU, idle power included.
    """
    return samples_of(rows(sources)[0])


def samples_of(drawn: Sequence[Row]) -> dict[str, Stack]:
    """Return the samples of `samples` of given networks; latency is the published mean where a minute's is not."""
    latency = [row.loop_latency or row.latency for row in drawn]
    networks, names = [row.network for row in drawn], [row.architecture for row in drawn]
    return {
        "latency": Stack(networks, latency, names),
        "energy": Stack(networks, [row.energy for row in drawn], names),
    }
