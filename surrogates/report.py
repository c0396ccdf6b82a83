"""Write ``docs/surrogates.md`` from the scorecards: ``python -m surrogates.report [FILE]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from hwnasbench.paths import PACKAGE_DATA
from hwnasbench.vocabulary import KEYS
from surrogates import folds

#: The page in a checkout.
_DEFAULT = Path(__file__).parents[1] / "docs" / "surrogates.md"
_TITLES = {"nasbench201": "NAS-Bench-201", "fbnet": "FBNet"}
_NUMBERS = ("rows", "r2", "spearman", "kendall", "mape", "mae", "within_5", "within_10")
_HEADER = (
    "source", "metric", "column", "family", "rows", "R2", "Spearman", "Kendall", "MAPE %", "MAE",
    "within 5 %", "within 10 %", "pair Spearman", "ceiling",
)  # fmt: skip
_TEXT = """\
# Surrogates

This page is written by `python -m surrogates.report` from `hwnasbench/data/scorecards.json`;
`hwnasbench train --from DIR` remakes the scorecards, the tables and the column store, where DIR
holds the published files (`DIR/<source>/<path in its repository>`).

## How the shipped numbers are made

Published rows do not ship. What ships is fitted to them, and has the kind `predicted`; `of` says
whether it was fitted to measured or to estimated values.

- **Folds.** There are {folds} folds. NAS-Bench-201 cells that compute the same function (4,930
  classes) are always in the same fold; FBNet networks are dealt out one by one. The folds are
  the same for every column, follow from a fixed seed, and their hash is in each scorecard.
- **Gradient-boosted trees** (NAS-Bench-201). The value of a cell is the prediction of the model
  that saw no cell of its class, for cells without a published value too. Features come from the
  architecture alone. Costs are learned on their logarithm from connected cells; accuracies as the
  logarithm of the error, and the predictions are averaged over each class. Rows that a source
  copied from another cell are never learned from and never judged by. A disconnected cell has
  no cost (status `disconnected`). Its accuracy is the median of the disconnected cells' published
  accuracies, which its scorecard gives apart under `disconnected`: it is not held out. Training
  time is learned and predicted for all cells. Where a compiler refused cells (oneproxy's edgetpu;
  `compile_failed` in the scorecard counts them), the trees learn from the others and predict every
  connected cell: what it would take if it compiled.
- **Exact closed forms** (NAS-Bench-201 on eyeriss and fpga). The published estimates are a sum
  over the operators of all six edges, dead ones included; the coefficients are in
  `hwnasbench/data/closed_forms.json`.
- **Exact look-up tables** (FBNet on pixel3, raspi4, eyeriss and fpga; flops). The published values
  are a sum of one cost a (position, operator), so that the recovered table is exact for all 9^22
  networks. The published sums cannot tell an intercept from a shift of all costs of a position: of
  all tables with the same sums, the one of least squares ships. Its costs are not those of single
  blocks; their differences within a position are.
- **Additive models** (FBNet elsewhere). The same form fitted by ridge regression, to the value or
  to its logarithm, whichever ranks held-out networks better. The shipped model is fitted to all
  rows, its scorecard to held-out ones.
- **Counts.** `params` and `macs` of both spaces are counted from the library's own layer tables
  (kind `simulated`, source `hwnasbench-counts`); they are no surrogates and have no scorecard.

## What the numbers mean

All are held out: each published value against the prediction of a model that did not see its class.
R2, MAE (in the metric's unit), MAPE and the shares within 5 % and 10 % are on the metric's own scale;
a relative error is not given where a published value is not positive. Accuracy is judged on
connected cells. `pair Spearman` is the agreement of node-swap pairs, two measurements of the same
graph, where both were measured; `ceiling`, its square root, is about the best that any prediction can
reach, because the published values it is judged by have that noise. Where values are whole
milliseconds, or where a proxy does not depend on the sum of its blocks, the numbers are low, and
they are shown as they are.

The `std` of a shipped value is the root mean square of the held-out residuals: of the tenth of the
predictions that the value falls in (trees), or of the whole column (additive; relative to the
prediction where the logarithm was learned). It is 0 for exact forms.
"""


def page(data: Path = PACKAGE_DATA) -> str:
    """Return the whole page as Markdown."""
    cards = json.loads((data / "scorecards.json").read_text("utf-8"))
    lines = [_TEXT.format(folds=folds.FOLDS)]
    for space in ("nasbench201", "fbnet"):
        own = {name: card for name, card in cards["columns"].items() if card["space"] == space}
        lines.append(f"## {_TITLES[space]}: {len(own)} columns\n")
        lines.append("| " + " | ".join(_HEADER) + " |")
        lines.append("|" + "---|" * 4 + "---:|" * (len(_HEADER) - 4))
        lines.extend(_row(own[name]) for name in sorted(own))
        lines.append("")
    lines.append("## Columns left out\n")
    lines.append("These repeat the values of another column of the same device, which ships:\n")
    lines.extend(f"- `{name}` = `{kept}`" for name, kept in sorted(cards["skipped"].items()))
    return "\n".join(lines) + "\n"


def _row(card: dict[str, Any]) -> str:
    told = ", ".join(str(card["keys"][key]) + _unit(key) for key in KEYS if key in card["keys"])
    ceiling = card["noise_ceiling"] or {}
    cells = [card["source"], card["metric"], told, card["family"]]
    cells += [_number(name, card[name]) for name in _NUMBERS]
    cells += [_number(name, ceiling.get(name)) for name in ("spearman", "spearman_ceiling")]
    return "| " + " | ".join(cells) + " |"


def _unit(key: str) -> str:
    return {"batch": " images", "epochs": " epochs", "threads": " threads"}.get(key, "")


def _number(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name == "rows":
        return f"{value:,.0f}"
    if name in {"mape", "within_5", "within_10"}:
        return f"{100 * value:.2f}" if name == "mape" else f"{100 * value:.1f} %"
    return f"{value:.3g}" if name == "mae" else f"{value:.4f}"


def write(data: Path, path: Path) -> None:
    """Write the page of the scorecards in the folder `data` to `path`."""
    path.write_text(page(data), "utf-8")


def main(arguments: list[str]) -> None:
    """Write the page to the file named on the command line, or to ``docs/surrogates.md``."""
    write(PACKAGE_DATA, Path(arguments[0]) if arguments else _DEFAULT)


if __name__ == "__main__":
    main(sys.argv[1:])
