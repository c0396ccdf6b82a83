"""``python -m surrogates.precision --from DIR``: fit the losses at low precision, judge them, write the page."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders import catalog
from data_builders.build import locate
from data_builders.sources import mpnas201
from hwnasbench.paths import PACKAGE_DATA, home_folder
from hwnasbench.predictors.precision import FORMAT, PrecisionModel
from hwnasbench.predictors.precision_layers import millions
from hwnasbench.tables.write import atomically
from surrogates.precision import cells, imagenet, page, published
from surrogates.precision.intervals import symmetric

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from data_builders.catalog import Folder

CARD, MODEL = "precision.json", Path("models", "precision.npz")
_PAGE = Path(__file__).parents[2] / "docs" / "precision.md"


def fit(sources: Path, analog: Folder) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Fit everything to published files; return the model's arrays and the scorecard.

    Parameters
    ----------
    sources : Path
        Folder of published files, ``<source>/<path in its repository>``.
    analog : Folder
        Where the wheel of analog-nasbench is.
    """
    mixed = catalog.Folder(catalog.get("mpnas201"), sources / "mpnas201")
    layers, layers_card, layers_held = layer_model(sources)
    lower, lower_cards, lower_held = cells.fit_lowered(mixed)
    at, at_cards, at_held = cells.fit_cells(analog)
    arrays = {"format": np.array(FORMAT), **at, **lower, **layers}
    repeats = {str(epochs): cells.repeatability(mixed, epochs) for epochs in mpnas201.FILES}
    card = {"imagenet": layers_card, "cells": at_cards, "lowered": lower_cards, "repeatability": repeats}
    both = cells.fit_combined(analog, PrecisionModel(arrays))
    return arrays, {**card, "intervals": [*at_held, *lower_held, *layers_held, *both]}


def layer_model(sources: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any], list[dict[str, Any]]]:
    """Fit the sensitivity of layers; return its arrays, its scorecard, and how often its intervals hold."""
    rows = published.read(sources)
    model, width, card, held = imagenet.card(rows)
    sizes = [float(millions(*imagenet.weighted(name))[0]) for name in dict.fromkeys(row.network for row in rows)]
    arrays = {
        "layers": np.array(model),
        "layers_millions": np.array([min(sizes), max(sizes)]),
        "errors_layers": np.array([symmetric(width.residuals)], np.float32),
        "errors_layers_edges": np.zeros(0),
    }
    return arrays, card, held


def write_model(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write the arrays; the same ones give the same bytes."""

    def save(temporary: Path) -> None:
        with temporary.open("wb") as handle:
            np.savez_compressed(handle, allow_pickle=False, **dict(arrays))

    atomically(path, save)


def main() -> None:
    """Write model, scorecard and page."""
    parser = argparse.ArgumentParser(prog="python -m surrogates.precision", description=__doc__)
    parser.add_argument("--from", dest="sources", type=Path, required=True, help="folder of published files")
    parser.add_argument("--out", type=Path, default=PACKAGE_DATA, help="folder of the model and the scorecard")
    parser.add_argument("--page", type=Path, default=_PAGE)
    chosen = parser.parse_args()
    analog = locate(catalog.get("analog-nasbench"), Path(home_folder()), chosen.sources)
    arrays, card = fit(chosen.sources, analog)
    write_model(arrays, chosen.out / MODEL)
    text = json.dumps(card, indent=1) + "\n"
    atomically(chosen.out / CARD, lambda path: path.write_text(text, "utf-8"))
    chosen.page.write_text(page.page(card), "utf-8")


if __name__ == "__main__":
    main()
