"""Processors fitted to this project's own measurements: whole networks, at the device's own engine and precision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_builders.measure import cells, published
from hwnasbench import spaces
from hwnasbench.devices import catalog
from surrogates.fits import Fit, roofline, samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwnasbench.devices import Device
    from surrogates.fits.samples import Networks

#: Raw samples, in the repository alone.
MEASUREMENTS = Path(__file__).parents[2] / "measurements"
#: Campaigns on whole networks, and the data set whose networks they timed; of a space's, the first that there is.
_WHOLE = {"networks": published.DATASET, **cells.DATASETS}


def fits(sources: Path) -> Iterator[Fit]:
    """Yield the fit of every processor whose measurements are there."""
    names = sorted(path.name for path in MEASUREMENTS.glob("*") if path.name in catalog())
    whole = [found for found in published.read(MEASUREMENTS) if found.what in _WHOLE] if names else []
    for name in names:
        device = catalog()[name]
        taken = networks(device, whole)
        if taken:
            told = " and ".join(f"{label} latency" for label in taken)
            yield roofline.fit(device, taken, f"{published.SOURCE}: {told}")


def networks(device: Device, whole: list[published.Samples]) -> dict[str, Networks]:
    """Return at most `samples.ROWS` networks of each space that was timed at the device's defaults."""
    out: dict[str, Networks] = {}
    for found in sorted(whole, key=lambda samples: list(_WHOLE).index(samples.what)):
        at_defaults = found.keys == {"device": device.name, **device.defaults}
        if found.space in out or not at_defaults:
            continue
        ok = found.frame[found.frame["status"] == "ok"]
        rows = np.sort(np.random.default_rng(samples.SEED).permutation(len(ok))[: samples.ROWS])
        names, values = ok["name"].to_numpy()[rows], ok["value"].to_numpy(np.float64)[rows]
        vectors = spaces.get(found.space).vectors(names.tolist())
        precision, batch = str(found.keys["precision"]), int(found.keys["batch"])
        out[found.space] = samples.Sample(found.space, _WHOLE[found.what], vectors, values, precision, batch)
    return out
