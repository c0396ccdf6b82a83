"""Write ``docs/surrogates.md`` from the scorecards: ``python -m surrogates.report [FILE]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from data_builders.markdown import table
from hwnasbench.paths import PACKAGE_DATA
from hwnasbench.vocabulary import KEYS
from surrogates import folds, goals, rule
from surrogates.curves import SIZES
from surrogates.prose import TEXT, TITLES

#: The page in a checkout.
_DEFAULT = Path(__file__).parents[1] / "docs" / "surrogates.md"
_NUMBERS = ("rows", "r2", "spearman", "kendall", "kendall_best", "mape", "mae", "within_5", "within_10")
_HEADER = (
    "source", "metric", "column", "family", "trust", "rows", "R2", "Spearman", "Kendall", "Kendall best 10 %", "MAPE %",
    "MAE", "within 5 %", "within 10 %", "ceiling: Spearman", "ceiling: Kendall",
)  # fmt: skip
_INTERVALS = (
    "source", "metric", "column", "80 %", "furthest tenth", "best 10 %", "new class", "95 %", "furthest tenth",
    "best 10 %", "new class",
)  # fmt: skip


def page(data: Path = PACKAGE_DATA) -> str:
    """Return the whole page as Markdown."""
    cards = json.loads((data / "scorecards.json").read_text("utf-8"))
    columns: dict[str, dict[str, Any]] = cards["columns"]
    lines = [TEXT.format(folds=folds.FOLDS), *_goals(columns), *rule.section(columns)]
    for space in sorted({card["space"] for card in columns.values()}, key=list(TITLES).index):
        own = [columns[name] for name in sorted(columns) if columns[name]["space"] == space]
        lines += [f"## {TITLES[space]}: {len(own)} columns\n", table(_HEADER, 5, map(_row, own))]
        lines += ["### Intervals\n", table(_INTERVALS, 3, map(_coverage, own))]
        lines += ["### Learning curves: Kendall\n", table(_CURVE, 3, map(_curve, own))]
    lines.append("## Columns left out\n")
    lines.append("These repeat the values of another column of the same device, which ships:\n")
    lines.extend(f"- `{name}` = `{kept}`" for name, kept in sorted(cards["skipped"].items()))
    return "\n".join(lines) + "\n"


_CURVE = ("source", "metric", "column", *(f"{size:,}" for size in SIZES), "all")


def _goals(columns: dict[str, dict[str, Any]]) -> list[str]:
    rows = []
    for goal in goals.GOALS:
        for name in sorted(columns):
            if goal.speaks_of(columns[name]):
                found = goal.found(columns[name])
                verdict = "unknown" if found is None else "yes" if goal.reached(found) else "**no**"
                cells = (_told(columns[name]), goal.number, f"{goal.least:g}", _plain(found), verdict)
                rows.append(cells)
    header = ("column", "number", "goal", "held out", "reached")
    return ["## What was to be reached\n", goals.TEXT, table(header, 2, rows)]


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def trust(card: dict[str, Any]) -> str:
    """Say in a word or two how far a column's values are to be trusted; the page explains the words."""
    if card["coverage"] == "exact":
        return "exact"
    spearman, ceiling = card["spearman"] or 0.0, (card["noise_ceiling"] or {}).get("spearman_ceiling")
    if ceiling is not None and spearman >= ceiling - 0.005:
        return "as the noise allows"
    for least, word in ((0.98, "close"), (0.95, "good"), (0.85, "fair")):
        if spearman >= least:
            return word
    return "rough"


def _label(card: dict[str, Any]) -> list[str]:
    told = ", ".join(str(card["keys"][key]) + _unit(key) for key in KEYS if key in card["keys"])
    return [card["source"], card["metric"], told]


def _told(card: dict[str, Any]) -> str:
    return " ".join([TITLES[card["space"]], *_label(card)])


def _row(card: dict[str, Any]) -> list[str]:
    ceiling = card["noise_ceiling"] or {}
    cells = [*_label(card), card["family"], trust(card)]
    cells += [_number(name, card[name]) for name in _NUMBERS]
    cells += [_number(name, ceiling.get(name)) for name in ("spearman_ceiling", "kendall_ceiling")]
    return cells


def _coverage(card: dict[str, Any]) -> list[str]:
    cells = _label(card)
    for level in ("80", "95"):
        if card["coverage"] == "exact":
            cells += ["exact", "", "", ""]
            continue
        shipped, unseen = (card["coverage"][level][name] for name in ("shipped", "unseen"))
        furthest = max(filter(None, shipped["by_decile"]), key=lambda share: abs(share - int(level) / 100))
        cells += [_percent(share) for share in (shipped["overall"], furthest, shipped["best_tenth"], unseen["overall"])]
    return cells


def _curve(card: dict[str, Any]) -> list[str]:
    found = {point["learned_from"]: point["kendall"] for point in card["learning_curve"]}
    cells = [_number("kendall", found.get(size)) for size in SIZES]
    return [*_label(card), *cells, _number("kendall", card["kendall"])]


def _unit(key: str) -> str:
    return {"batch": " images", "epochs": " epochs", "threads": " threads"}.get(key, "")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _number(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name == "rows":
        return f"{value:,.0f}"
    if name == "mape":
        return f"{100 * value:.2f}"
    if name in {"within_5", "within_10"}:
        return _percent(value)
    return f"{value:.3g}" if name == "mae" else f"{value:.4f}"


def write(data: Path, path: Path) -> None:
    """Write the page of the scorecards in the folder `data` to `path`."""
    path.write_text(page(data), "utf-8")


def main(arguments: list[str]) -> None:
    """Write the page to the file named on the command line, or to ``docs/surrogates.md``."""
    write(PACKAGE_DATA, Path(arguments[0]) if arguments else _DEFAULT)


if __name__ == "__main__":
    main(sys.argv[1:])
