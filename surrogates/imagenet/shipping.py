"""The model file and its scorecard, the same bytes every time."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench import spaces
from hwnasbench.predictors.base import Quantiles
from hwnasbench.predictors.imagenet import FORMAT, ImageNetAccuracy
from hwnasbench.predictors.words import SPACES
from hwnasbench.tables.write import atomically
from surrogates.imagenet import anchors, cifar, evaluation, rows, wider
from surrogates.imagenet.model import PUBLISHED, Published
from surrogates.shipping import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from surrogates.imagenet.anchors import Anchor
    from surrogates.imagenet.evaluation import HeldOut
    from surrogates.imagenet.model import Fitted

MODEL, SCORECARD = "models/imagenet_accuracy.npz", "imagenet_accuracy.json"
_LOWER = (0.025, *(round(0.05 * step, 2) for step in range(1, 10)))
#: Probabilities at which residuals are tabulated: a few dozen tell nothing of rarer ones.
LEVELS = (*_LOWER, 0.5, *(round(1 - p, 3) for p in reversed(_LOWER)))
_CHECKED = (0.8, 0.95)
#: Random architectures a space.
_DRAWN = 1000


def write(sources: Path, data: Path) -> None:
    """Fit to the published files in `sources`, and write model and scorecard below the folder `data`."""
    known = anchors.read(sources)
    seen = evaluation.published(known)
    supernet, calibration = rows.supernet(sources)
    tables = {"ofa_supernet": supernet, "accelnasbench_proxy": rows.read("accelnasbench", sources)}
    held = evaluation.hold_out(seen, tables)
    alone = evaluation.hold_out(seen, {})
    fitted = evaluation.train(seen, tables)
    transfer = cifar.transfer(fitted, sources)
    arrays = _arrays(fitted, transfer, held)
    arrays["reach"] = _reach(seen, tables)
    card = {
        "quality": quality(known, held),
        "without_tables": quality(known, alone),
        "anchors": [_anchor(*one) for one in zip(known, held.values, held.std * arrays["spread"], strict=True)],
        "features": list(fitted.features),
        "ceiling": fitted.ceiling,
        "chosen_without": {
            name: {"features": list(one.features), "ceiling": one.ceiling} for name, one in held.chosen.items()
        },
        "candidates": [list(names) for names in evaluation.CANDIDATES],
        "ceilings": list(evaluation.CEILINGS),
        "settings": fitted.settings._asdict(),
        "worse_by_widening": {
            **{recipe: round(wider.share_worse(fitted, recipe), 4) for recipe in fitted.recipes},
            "without the tables": round(wider.share_worse(evaluation.train(seen, {})), 4),
            "limit": wider.LIMIT,
            "pairs": len(wider.pairs().wide),
        },
        "slopes": _slopes(fitted) | {"standard, without the tables": _slopes(evaluation.train(seen, {}))["standard"]},
        "tables": evaluation.table_quality(tables, fitted),
        "ofa_predictor": {name: round(value, 4) for name, value in calibration.items()},
        "intervals": _coverage(held, seen),
        "spread": round(float(arrays["spread"]), 4),
        "drawn": {"architectures": _DRAWN, "spaces": _drawn(ImageNetAccuracy(arrays))},
        "fbnets_unseen": _fbnets(seen, tables),
        "cifar100": {name: round(value, 4) for name, value in transfer._asdict().items()},
    }
    (data / MODEL).parent.mkdir(parents=True, exist_ok=True)
    atomically(data / MODEL, lambda path: path.write_bytes(_npz(arrays)))
    write_json(data / SCORECARD, card)


def quality(known: list[Anchor], held: HeldOut) -> dict[str, Any]:
    """Return the errors and the order of held-out anchors: judged ones, each family, and all."""
    judged = np.array([anchor.in_range and anchor.family in evaluation.JUDGED for anchor in known])
    family = np.array([anchor.family for anchor in known])
    true = np.array([anchor.top1 for anchor in known])
    error = np.abs(held.values - true)
    apart = family[judged][:, None] != family[judged]
    by_family = {name: error[judged & (family == name)] for name in evaluation.JUDGED}
    means = [
        np.array([values[judged & (family == name)].mean() for name in evaluation.JUDGED])
        for values in (held.values, true)
    ]
    return {
        "anchors": int(judged.sum()),
        "mae": round(float(error[judged].mean()), 4),
        "mae_of_families": round(float(np.mean([found.mean() for found in by_family.values()])), 4),
        "kendall": round(evaluation.kendall(held.values[judged], true[judged]), 4),
        "kendall_across_families": round(evaluation.kendall(held.values[judged], true[judged], apart), 4),
        "kendall_of_family_means": round(evaluation.kendall(*means), 4),
        "families": {
            name: {"anchors": len(found), "mae": round(float(found.mean()), 4)} for name, found in by_family.items()
        },
        "all_anchors": len(known),
        "all_mae": round(float(error.mean()), 4),
    }


def _anchor(anchor: Anchor, value: float, std: float) -> dict[str, Any]:
    return {
        "name": anchor.name,
        "family": anchor.family,
        "recipe": anchor.recipe,
        "resolution": anchor.resolution,
        "published": round(anchor.top1, 2),
        "held_out": round(float(value), 2),
        "std": round(float(std), 2),
        "judged": anchor.in_range and anchor.family in evaluation.JUDGED,
        "evidence": anchor.evidence,
        "citation": anchor.citation,
    }


def _slopes(fitted: Fitted) -> dict[str, dict[str, float]]:
    """Return each recipe's slopes, per unit of the features."""
    slopes = fitted.coefficients[:, 1:] / fitted.scale
    return {
        recipe: {name: round(float(slope), 4) for name, slope in zip(fitted.features, found, strict=True)}
        for recipe, found in zip(fitted.recipes, slopes, strict=True)
    }


def _fbnets(seen: Published, tables: Mapping[str, rows.Rows]) -> dict[str, float]:
    """Return the accuracy of FBNet-A, B and C as the space has them, by a model that saw no FBNet."""
    fitted = evaluation.train(seen.only(np.flatnonzero(seen.family != "FBNet")), tables)
    vectors = anchors.in_space()
    features = rows.of_vectors("fbnet", np.array(list(vectors.values()), np.int8), "imagenet")
    scores, _ = fitted.predict(features, PUBLISHED[0])
    return {name: round(float(fitted.ceiling - np.exp(-one)), 2) for name, one in zip(vectors, scores, strict=True)}


def _drawn(model: ImageNetAccuracy) -> dict[str, dict[str, float]]:
    """Return what the model says of random architectures of each space."""
    out = {}
    for name in SPACES:
        vectors = spaces.get(name).sample_many(np.random.default_rng(0), _DRAWN)
        found = model.predict(name, vectors)
        low, high = np.quantile(found.values, (0.01, 0.99))
        out[name] = {
            "lowest": round(float(low), 2),
            "highest": round(float(high), 2),
            "std": round(float(np.median(found.std)), 3),
            "extrapolated": round(float(found.extrapolated.mean()), 3),
        }
    return out


def _symmetric(residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return quantiles at `LEVELS` of residuals and of their opposites: few families tell little of a bias."""
    both = np.concatenate([residuals, -residuals])
    return np.asarray(np.quantile(both, LEVELS, method="weibull"))


def _coverage(held: HeldOut, seen: Published) -> dict[str, float]:
    """Return how often intervals of other families' residuals hold the published value of a family, in %."""
    out = {}
    for level in _CHECKED:
        inside = np.zeros(len(seen.top1), bool)
        for family in sorted(set(seen.family.tolist())):
            rest = seen.family != family
            table = Quantiles(LEVELS, [], [_symmetric(held.residuals[rest]).tolist()])
            low, high = table.interval(0.0, 1.0, level)
            own = held.residuals[~rest]
            inside[~rest] = (low <= own) & (own <= high)
        out[f"{level:.0%}"] = round(100 * float(inside.mean()), 1)
    return out


def _arrays(fitted: Fitted, transfer: cifar.Transfer, held: HeldOut) -> dict[str, NDArray[Any]]:
    spread = float(np.sqrt((held.residuals**2).mean()))
    outside = fitted.settings.family**2 + fitted.settings.noise**2
    # Networks of a table's own space differ from its line by the residuals of that table alone.
    inside = [outside, outside, *fitted.residuals]
    away = [outside, outside, *(outside + residual for residual in fitted.residuals)]
    homes = ["", "", *(rows.TABLES[table][1] for table in ("dynast", "accelnasbench"))]
    return {
        "format": np.array(FORMAT),
        "ceiling": np.array(fitted.ceiling),
        "features": np.array(fitted.features),
        "scale": fitted.scale,
        "recipes": np.array(fitted.recipes),
        "homes": np.array(homes),
        "coefficients": fitted.coefficients,
        "covariances": fitted.covariances,
        "noise": np.array([away, inside]).T.copy(),
        "small": np.array([transfer.intercept, transfer.slope, transfer.noise]),
        "spread": np.array(spread),
        "levels": np.array(LEVELS),
        "quantiles": _symmetric(held.residuals / spread),
    }


def _reach(seen: Published, tables: Mapping[str, rows.Rows]) -> NDArray[np.float64]:
    """Return the lowest and the highest accuracy that each recipe was fitted to."""
    groups = [seen.top1, seen.top1, *(table.top1 for table in tables.values())]
    return np.array([[found.min(), found.max()] for found in groups])


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return an npz archive without times of writing."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(arrays):
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.asarray(arrays[name]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), entry.getvalue())
    return buffer.getvalue()
