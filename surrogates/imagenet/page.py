"""The page on ImageNet accuracy, printed from the committed scorecard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_builders.markdown import table

#: Where the page lies in the repository.
DEFAULT = Path(__file__).parents[2] / "docs" / "imagenet-accuracy.md"

_TEXT = """# ImageNet accuracy of networks of inverted residual blocks

Made by `python -m surrogates.imagenet --from DIR` (DIR holds the published files); do not edit. No table trains FBNet,
MobileNetV2 or ProxylessNAS networks on ImageNet. One model of the layer table answers for all spaces of such blocks:
`fbnet`, `mobilenetv2`, `mnasnet`, `proxylessnas`, `ofa_mobilenetv3`, `efficientnet`.

```python
from hwnasbench.predictors import imagenet

model = imagenet.open_model()
found = model.predict("fbnet", vectors, "imagenet", recipe="standard")
found.values, found.std, found.extrapolated
model.quantiles().interval(found.values[0], found.std[0], 0.9)
```

## The model

The logarithm of what the accuracy lacks to {ceiling:g} % is a level of the training recipe, less slopes times features:
the logarithm of the multiply-accumulates at each stride (2, 4, 8, 16, 32), and over blocks the share of depthwise
kernels above 3 x 3, the share of squeeze-and-excitation, and the mean logarithm of the expansion; beside these, in some
lists of features, the logarithm of the parameters, the share of smooth activations, and the mean logarithm of the
channels between blocks. Every list is tried by leaving out one of the families that are seen; training chooses the
list that does best on the families that it sees, and with it the ceiling (of {ceilings} %; wrong labels alone
keep networks below 100) and how far the groups' slopes may differ. The lists themselves were put together with all
families in sight: the errors below are held out for slopes, levels, spreads, the ceiling and the choice among the
lists, not for the lists.

All is Gaussian, so that there is one answer and no seed. Slopes are shared by three groups that may differ from each
other by a little: published networks, Accel-NASBench, and OFA's supernet. So thousands of cheap trainings say how
accuracy depends on the layers, and a few dozen full trainings set the level. How much the groups, families and
networks differ is what makes the published values likeliest.

| recipe | trained as | learned from |
|---|---|---|
| `standard` | the publications' own training, or one like it | published networks |
| `advanced` | learned or random augmentation, or distillation | published networks |
| `ofa_supernet` | weights of OFA's supernet | source dynast; OFA's own predictor, calibrated on it |
| `accelnasbench_proxy` | 16 cheap epochs | source accelnasbench |

OFA's predictor agrees with dynast by Kendall {ofa[kendall]:.3f}. It is asked at 160 to 224 pixels: at 128 and 144
it says more than at 160. The recipes of one name differ too, from author to author: that is part of the error below.

## Families that the model never saw

Each published network is predicted by a model that saw no published network of its family. The tables stay: with
MobileNetV3 left out, the networks of OFA's supernet, and with MnasNet left out, those of Accel-NASBench still tell
their slopes under their own recipes. Judged are the {n} with at most
224 pixels and 70 to 78 % in the seven families below; the others are shown too, as extrapolated. HardCoRe-NAS is
learned from and left out in turn, but not judged by. TinyNet and EfficientNet-Lite count as EfficientNet, FBNetV2 and
FBNet-C-SE as FBNet. Each row is one network under one recipe; rows of one family err together. The goals' order can be
read in three ways, all of which are given.

{goals}
{families}
The families' means are in the right order in {right} of 21 pairs. In FBNet's space, whose blocks of expansion 1 have a
first convolution that the published networks lack, the model that saw no FBNet says {fbnets}.

**Do the tables help here?** Published networks alone, by the same procedure, give a mean absolute error of
{alone[mae]:.3f} and Kendall {alone[kendall]:.3f}. But they do not know what a block does: of {wider[pairs]:,} random
networks of three spaces, they say that {wider[without the tables]:.0%} get worse when one block gets a larger
expansion, which would send a search the wrong way. Training takes only models that say so of at most
{wider[limit]:.0%}; for the shipped one it is {wider[standard]:.1%} (by `ofa_supernet` {wider[ofa_supernet]:.1%}, by
`accelnasbench_proxy` {wider[accelnasbench_proxy]:.1%}). This is what the tables are for, and it costs some of the order
of the families.

{anchors}
Values not in a source's file are cited in `surrogates/imagenet/anchors.toml`; those that could not be read anywhere
are marked recalled there. Every network is laid out and its parameters and multiply-accumulates are checked against
published ones.

## Slopes

Per unit of the feature, in the logarithm of what is missing to the ceiling; 0.01 is {point:.2f} points at 75 %.

{slopes}
## Inside a space

5-fold cross-validation of the same features, on the tables alone:

{tables}
The rows of `ofa_supernet` are half measured, half the calibrated predictor's.

## How sure

`std` grows with the distance from the data: it holds how little the slopes are known in a network's direction, times
the network's error. It is scaled by {spread:.2f}, so that the residuals of left-out families have the spread it says.
A value is flagged extrapolated where the slopes are less sure than networks of one kind differ anyway, and where it is
below or above everything that its recipe was fitted to. Of {drawn:,} random architectures a space, at the recipe
`standard`:

{spaces}
Quantiles are of the residuals of all {all} published networks. With quantiles of the other families, the intervals of
80 % hold {intervals[80%]} % of the published values, and those of 95 % {intervals[95%]} %. The residuals are of eight
families only, so these shares are rough.

## CIFAR-100 accuracy of FBNet

Nobody published any. What is given is a transfer, flagged extrapolated without exception: the part of the ImageNet
score that the strides' multiply-accumulates make, on a line to CIFAR-10 fitted to {cifar[networks]:,} networks of
NAS-Bench-Macro (Kendall {cifar[kendall_macro]:.2f}: it orders them roughly), and a line from CIFAR-10 to CIFAR-100
fitted to {cifar[cells]:,} cells of NAS-Bench-201 (Kendall {cifar[kendall_datasets]:.2f}). Kernels and expansions are
left out: NAS-Bench-Macro orders them otherwise than ImageNet does. The level between trainings that were never compared
is assumed to be known to 20 % of the error. Trust the order a little and the level not at all.
"""


def text(data: Path) -> str:
    """Return the page of the scorecard in the folder `data` as Markdown."""
    card = json.loads((data / "imagenet_accuracy.json").read_text("utf-8"))
    quality = card["quality"]
    fbnets = ", ".join(f"{name} {value:.2f}" for name, value in card["fbnets_unseen"].items())
    return _TEXT.format(
        n=quality["anchors"],
        all=quality["all_anchors"],
        goals=_goals(quality),
        families=_families(quality),
        right=round((quality["kendall_of_family_means"] + 1) / 2 * 21),
        fbnets=fbnets,
        alone=card["without_tables"],
        anchors=_anchors(card["anchors"]),
        slopes=_slopes(card["slopes"], card["features"]),
        tables=_tables(card["tables"]),
        spread=card["spread"],
        intervals=card["intervals"],
        ofa=card["ofa_predictor"],
        cifar=card["cifar100"],
        wider=card["worse_by_widening"],
        ceiling=card["ceiling"],
        ceilings=", ".join(f"{one:g}" for one in card["ceilings"]),
        point=0.01 * (card["ceiling"] - 75),
        drawn=card["drawn"]["architectures"],
        spaces=_spaces(card["drawn"]["spaces"]),
    )


def _goals(quality: dict[str, Any]) -> str:
    goals = (
        ("mean absolute error, points", "mae", 0.8, -1),
        ("Kendall, over the networks", "kendall", 0.7, 1),
        ("Kendall, over pairs of networks of different families", "kendall_across_families", 0.7, 1),
        ("Kendall, over the families' means", "kendall_of_family_means", 0.7, 1),
    )
    rows = []
    for name, key, goal, direction in goals:
        reached = "reached" if direction * (quality[key] - goal) >= 0 else "missed"
        rows.append([name, f"{'at most' if direction < 0 else 'at least'} {goal}", reached, f"{quality[key]:.3f}"])
    return table(["over the judged networks", "goal", "", "held out"], 3, rows)


def _families(quality: dict[str, Any]) -> str:
    rows = [[name, str(found["anchors"]), f"{found['mae']:.2f}"] for name, found in quality["families"].items()]
    rows.append(["mean of the families", "", f"{quality['mae_of_families']:.2f}"])
    return table(["family left out", "judged networks", "mean absolute error"], 1, rows)


def _anchors(found: list[dict[str, Any]]) -> str:
    rows = []
    for one in found:
        marks = [] if one["judged"] else ["not judged" if one["family"] == "HardCoRe-NAS" else "extrapolated"]
        marks += ["recalled"] if one["evidence"] == "recalled" else []
        numbers = [f"{one['published']:.2f}", f"{one['held_out']:.2f}", f"{one['held_out'] - one['published']:+.2f}"]
        told = [one["name"], one["family"], one["recipe"], ", ".join(marks), str(one["resolution"])]
        rows.append([*told, *numbers, f"{one['std']:.2f}"])
    header = ["network", "family left out", "recipe", "", "pixels", "published", "held out", "difference", "std"]
    return table(header, 4, rows)


def _slopes(slopes: dict[str, dict[str, float]], features: list[str]) -> str:
    shown = {name: found for name, found in slopes.items() if name != "advanced"}
    rows = [[name, *(f"{found.get(name, 0.0):+.3f}" for found in shown.values())] for name in features]
    return table(["feature", *shown], 1, rows)


def _tables(found: dict[str, dict[str, Any]]) -> str:
    rows = [
        [name, f"{one['rows']:,}", f"{one['r2']:.3f}", f"{one['kendall']:.3f}", f"{one['mae']:.2f}"]
        for name, one in found.items()
    ]
    return table(["recipe", "rows", "R2", "Kendall", "mean absolute error"], 1, rows)


def _spaces(found: dict[str, dict[str, float]]) -> str:
    rows = [
        [name, f"{one['lowest']:.1f} to {one['highest']:.1f}", f"{one['std']:.2f}", f"{one['extrapolated']:.0%}"]
        for name, one in found.items()
    ]
    return table(["space", "the middle 98 % of the predictions", "median std", "extrapolated"], 1, rows)
