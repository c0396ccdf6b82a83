"""The published networks: what they are, under which recipe, and how accurate."""

from __future__ import annotations

import csv
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnasbench import spaces
from surrogates.imagenet.layouts import Layout

if TYPE_CHECKING:
    from hwnasbench.networks.layers import Network

_FILE = Path(__file__).with_name("anchors.toml")
#: What an entry says of itself; the rest is of its `Layout`.
_OWN = ("name", "family", "recipe", "timm", "fbnet", "value", "evidence", "citation", "space", "arch", "params", "macs")
#: facebookresearch/mobile-vision, mobile_cv/arch/fbnet_v2/fbnet_modeldef_cls_fbnet.py
_FBNETS = {
    "FBNet-A": "skip k3_e3 k3_e1 skip skip k5_e6 k3_e3 k5_e1 k3_e3 k5_e6 k5_e3 k5_e1_g2 k5_e6 k3_e6 k5_e1_g2 k5_e3 "
    "k3_e1_g2 k5_e6 k5_e6 k5_e3 k5_e6 k5_e6",
    "FBNet-B": "k3_e1 k3_e6 k5_e1 k3_e1 k3_e1 k5_e6 k5_e3 k3_e6 k5_e6 k5_e6 k5_e6 skip k5_e3 k5_e6 k3_e1 k5_e1 k5_e3 "
    "k5_e6 k5_e1 k5_e6 k5_e6 k3_e6",
    "FBNet-C": "k3_e1 k3_e6 skip k3_e1 k3_e1 k5_e6 k5_e3 k5_e6 k3_e6 k5_e6 k5_e3 k5_e6 k5_e6 k5_e6 k5_e6 k5_e6 k5_e3 "
    "k5_e6 k5_e6 k5_e6 k5_e6 k3_e6",
}


@dataclass(frozen=True)
class Anchor:
    """A network and its published top-1.

    Attributes
    ----------
    name, family, recipe : str
    network : Network
    top1 : float
        In %.
    evidence, citation : str
        ``read`` or ``recalled``, and where.
    params, macs : float or None
        Published counts, in millions.
    """

    name: str
    family: str
    recipe: str
    network: Network
    top1: float
    evidence: str
    citation: str
    params: float | None
    macs: float | None

    @property
    def resolution(self) -> int:
        """Height of the input."""
        return self.network.input_shape[1]

    @property
    def in_range(self) -> bool:
        """Whether the surrogate is judged by it: at most 224 pixels, 70 to 78 %."""
        return self.resolution <= 224 and 70 <= self.top1 <= 78


def entries() -> tuple[dict[str, str], dict[str, str], list[dict[str, Any]]]:
    """Return citations, layouts and the entries of the file of anchors."""
    record = tomllib.loads(_FILE.read_text("utf-8"))
    return record["citations"], record["layouts"], record["anchors"]


def network(entry: dict[str, Any], layouts: dict[str, str]) -> Network:
    """Lay out the network of one entry."""
    if "space" in entry:
        return spaces.get(entry["space"]).network(entry["arch"], "imagenet")
    settings = {key: value for key, value in entry.items() if key not in (*_OWN, "layout")}
    return Layout(layouts[entry["layout"]], **settings).build(entry["name"])


def read(sources: Path) -> list[Anchor]:
    """Return every anchor with its value.

    Parameters
    ----------
    sources : Path
        Folder of published files.
    """
    citations, layouts, found = entries()
    published = {"timm": _timm(sources), "fbnet": _fbnet(sources)}
    out = []
    for entry in found:
        source = next((name for name in published if name in entry), None)
        numbers = published[source][entry[source]] if source else entry
        out.append(
            Anchor(
                entry["name"],
                entry["family"],
                entry["recipe"],
                network(entry, layouts),
                numbers["value"],
                entry.get("evidence", "read"),
                citations[source or entry["citation"]],
                numbers.get("params"),
                numbers.get("macs"),
            )
        )
    return out


def _timm(sources: Path) -> dict[str, dict[str, float]]:
    with (sources / "timm/results/results-imagenet.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    return {
        row["model"]: {"value": float(row["top1"]), "params": float(row["param_count"].replace(",", ""))}
        for row in rows
    }


def _fbnet(sources: Path) -> dict[str, dict[str, float]]:
    folder = sources / "fbnet_results/mobile_cv/model_zoo/models/model_info/fbnet_v2"
    rows = [row for path in sorted(folder.glob("*.json")) for row in json.loads(path.read_text("utf-8"))]
    return {
        row["name"]: {"value": row["top_1_accuracy"], "params": row["params_m"], "macs": row["flops_m"]} for row in rows
    }


def in_space() -> dict[str, list[int]]:
    """Return FBNet-A, B and C as decisions of the space `fbnet`.

    Its blocks of expansion 1 have a first convolution, which the published A, B and C lack, and its head is
    that of B and C.
    """
    space = spaces.get("fbnet")
    return {name: list(space.parse(blocks.split()).vector) for name, blocks in _FBNETS.items()}
