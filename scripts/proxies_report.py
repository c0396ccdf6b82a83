"""How well the shipped zero-cost proxies rank NAS-Bench-201 by its measured accuracies, and checks of that.

usage: python scripts/proxies_report.py SOURCES [--write]

SOURCES is the folder of published files, as for `hwnasbench build --from`. The section is printed; with --write it also
replaces the one in docs/proxies.md. Ends with 1 where a check fails.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_builders.build import build
from data_builders.markdown import table
from data_builders.proxies_table import BY_CLASS, KEYS, SOURCE
from hwnasbench import proxies, spaces
from hwnasbench.benchmark import Benchmark
from hwnasbench.errors import HwnasbenchError, NoColumn, UnknownName
from hwnasbench.paths import shipped_store
from hwnasbench.ranking import best_tenth, kendall, spearman
from hwnasbench.tables.store import open_store
from hwnasbench.tables.user import current_store

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAGE = Path(__file__).parent.parent / "docs" / "proxies.md"
BEGIN, END = "<!-- by scripts/proxies_report.py -->", "<!-- end -->"
#: Whose 200-epoch test accuracies, means over its seeds, are ranked by.
ACCURACIES = "robot"
#: The least Spearman correlation with CIFAR-10 accuracy over connected cells.
LEAST = {"naswot": 0.62, "params": 0.755}
#: Published scores of the same name: proxy to source. They were computed with other weights, images and batches.
PUBLISHED = {"naswot": "naswot", "zen": "naslib_zen"}


def scores(bench: Benchmark, name: str, dataset: str) -> NDArray[np.float64]:
    """Return one proxy over the whole space; NaN where the table leaves it out."""
    if name in ("params", "macs"):
        return bench.column(name, dataset=dataset)
    try:
        return bench.column(name, dataset=dataset, source=SOURCE, **KEYS)
    except NoColumn:
        if name in BY_CLASS:
            return np.full(len(bench.space), np.nan)
        raise


def correlations(bench: Benchmark) -> dict[str, dict[str, float]]:
    """Return, for each proxy, Spearman on every data set, and Kendall and the best tenth on CIFAR-10."""
    out: dict[str, dict[str, float]] = {name: {} for name in proxies.names()}
    alive = connected(bench)
    for dataset in bench.space.datasets:
        truth = bench.column("accuracy", dataset=dataset, source=ACCURACIES, kinds="measured")
        for name, told in out.items():
            found = scores(bench, name, dataset)
            rows = alive & np.isfinite(found) & np.isfinite(truth)
            told[dataset] = spearman(found[rows], truth[rows]) if rows.any() else np.nan
            if dataset == "cifar10":
                told["kendall"] = kendall(found[rows], truth[rows])
                told["best tenth"] = best_tenth(found[rows], truth[rows])
    return out


def connected(bench: Benchmark) -> NDArray[np.bool_]:
    """Return which cells lead from their input to their output."""
    return np.array([bench.space.is_connected(arch) for arch in bench.space])  # type: ignore[attr-defined]


def checks(bench: Benchmark, found: dict[str, dict[str, float]]) -> list[tuple[str, bool | None]]:
    """Return what each check says and whether it holds; None where it only tells."""
    out: list[tuple[str, bool | None]] = []
    for name, least in LEAST.items():
        value = found[name]["cifar10"]
        out.append((f"{name} at CIFAR-10: {value:.4f}, expected {least} or more", value >= least))
    for name, source in PUBLISHED.items():
        what = f"{name} against the published scores of {source} at CIFAR-10"
        try:
            theirs = bench.column(name, dataset="cifar10", source=source, kinds="estimated")
        except (NoColumn, UnknownName):
            out.append((f"{what}: it has none of this space", None))
            continue
        ours = scores(bench, name, "cifar10")
        rows = np.isfinite(theirs) & np.isfinite(ours)
        out.append((f"{what}: Spearman {spearman(ours[rows], theirs[rows]):.4f} on {rows.sum():,} cells", None))
    return out


def section(bench: Benchmark, found: dict[str, dict[str, float]]) -> str:
    """Return the section of the page."""
    datasets = list(bench.space.datasets)
    heads = ["proxy", *datasets, "Kendall, cifar10", "best tenth, cifar10"]
    rows = []
    for name, told in sorted(found.items(), key=lambda item: -abs(item[1]["cifar10"])):
        cells = [f"{told[key]:.3f}" if np.isfinite(told[key]) else "-" for key in (*datasets, "kendall", "best tenth")]
        rows.append([name, *cells])
    times = [bench.column("proxy_time", dataset=name, source=SOURCE, **KEYS) for name in datasets]
    spent = ", ".join(f"{np.nanmean(time):.2f} s at {name}" for time, name in zip(times, datasets, strict=True))
    told = [f"- {text}." for text, _ in checks(bench, found)]
    scored = table(heads, len(heads), rows)
    return "\n".join([scored, f"All of them for one network and seed, on one core: {spent} on average.", "", *told])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path, help="folder of published files")
    parser.add_argument("--write", action="store_true", help="write the section into docs/proxies.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hwnasbench-proxies-") as home:
        try:
            build([ACCURACIES, *PUBLISHED.values()], home=Path(home), sources=given.sources)
            built = current_store(home, required=True)
            assert built is not None
            bench = Benchmark(spaces.get("nasbench201"), [open_store(shipped_store()), built])
            found = correlations(bench)
        except HwnasbenchError as error:
            print(error, file=sys.stderr)
            return 1
        text = section(bench, found)
        failed = [told for told, holds in checks(bench, found) if holds is False]
    print(text)
    if given.write:
        page = PAGE.read_text("utf-8")
        before, rest = page.split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}", "utf-8")
    for told in failed:
        print(f"failed: {told}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
