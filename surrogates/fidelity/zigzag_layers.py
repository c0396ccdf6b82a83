"""Energy of single layers against ZigZag's answers that ship with the package."""

from __future__ import annotations

import functools
import importlib.resources
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.costs import model
from hwnasbench.costs.layers import Layers
from hwnasbench.networks.layers import LAYER
from surrogates.fits import spearman
from surrogates.fits.npu import halves

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

_HEAD = [
    "| target | layers | held out | n | scale | Spearman of energy/MAC | median error [%] | worst error [%] "
    "| Spearman of cycles |",
    "|---|---|---|---|---|---|---|---|---|",
]


def compared(target: str, name: str, given: Mapping[str, Any], table: pd.DataFrame | None = None) -> list[str]:
    """Return a table: energies of one target, by sort of layer, after one scale fitted to half of the first layers.

    Parameters
    ----------
    target : str
        A target of the oracle.
    name : str
        A cost model.
    given : mapping
        Parameters that are ZigZag's.
    table : DataFrame, optional
        The oracle's answers; by default those that ship.
    """
    table = _shipped() if table is None else table
    if table is None:
        return [f"Not compared with ZigZag's {target} here: its answers do not ship."]
    table = table[(table["target"] == target) & (table["status"] == "ok")]
    layers = np.zeros(len(table), LAYER)
    for field in LAYER.names or ():
        layers[field] = table[field]
    layers["weight_bits"] = layers["activation_bits"] = 8
    costs = model(name).cost(Layers(layers), model(name).values(given))
    true, macs = table["energy_pj"].to_numpy() * 1e-9, layers["macs"]
    later = table["part"].to_numpy() == 1
    first = np.flatnonzero(~later)
    fitted = halves(len(first))
    seen, half = np.zeros(len(true), bool), np.zeros(len(true), bool)
    seen[first[fitted]], half[first[~fitted]] = True, True
    scale = float(np.exp(np.median(np.log(true / costs.energy)[seen])))
    cycles = table["cycles"].to_numpy()
    lines, missed = list(_HEAD), []
    groups = layers["groups"] > 1
    # A global scale cannot be read off cases that it was not fitted to; each line has the same one.
    for which, judges in (("half", half), ("later", later)):
        for sort, chosen in (("all", judges), ("dense", judges & ~groups), ("grouped", judges & groups)):
            if chosen.sum() < 3:
                continue
            error = np.abs(scale * costs.energy / true - 1)[chosen] * 100
            rank = spearman((costs.energy / macs)[chosen], (true / macs)[chosen])
            time = spearman(costs.latency[chosen], cycles[chosen])
            numbers = f"{rank:.4f} | {np.median(error):.1f} | {error.max():.1f} | {time:.4f}"
            lines.append(f"| {target} | {sort} | {which} | {int(chosen.sum())} | {scale:.3f} | {numbers} |")
            if sort == "all" and (rank < 0.8 or np.median(error) > 20):
                missed += [
                    f"Missed ({which}): Spearman {rank:.3f} of 0.8, or median error {np.median(error):.1f} of 20 %."
                ]
    return [*lines, "", *missed] if missed else lines


@functools.lru_cache(1)
def about_later() -> str:
    """Return a sentence on the layers that only judge: how many, of which spaces."""
    from data_builders.simulate.layers import origins, shipped_layers

    layers, part = shipped_layers("zigzag")
    layers = layers[part == 1]
    spaces = ", ".join(f"{name} {count}" for name, count in origins(layers).items())
    depthwise = int(((layers["groups"] > 1) & (layers["groups"] == layers["in_channels"])).sum())
    return (
        f"`later`: {len(layers)} convolutions, {depthwise} of them depthwise, of shapes that nothing was fitted to.\n"
        f"They are in these spaces, a shape maybe in several: {spaces}."
    )


def _shipped() -> pd.DataFrame | None:
    import pandas as pd

    path = importlib.resources.files("hwnasbench") / "data" / "oracles" / "zigzag.parquet"
    return pd.read_parquet(str(path)) if path.is_file() else None
