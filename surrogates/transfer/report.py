"""``docs/onboarding.md`` from the committed scorecard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.markdown import table
from surrogates.transfer.chips import CHIPS
from surrogates.transfer.lodo import SIZES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Card = dict[str, Any]

#: The devices that HELP tests on, as published columns: device and batch, all from HELP.
TESTED = (("titan_rtx", 256), ("gold_6226", 1), ("fpga", 1), ("pixel2", 1), ("raspi4", 1), ("eyeriss", 1))
#: Mean Spearman correlation to reach: NAS-Bench-201 on those, and FBNet on all.
GOALS = {("nasbench201", 10): 0.955, ("nasbench201", 20): 0.965, ("fbnet", 10): 0.93}
_TITLES = {"nasbench201": "NAS-Bench-201", "fbnet": "FBNet"}
_JUDGES = ("spearman", "proxy", "ridge")
_TEXT = """\
# A new device from ten measurements

This page is written by `python -m surrogates.transfer`, its tables from `hwnasbench/data/transfer.json`;
with `--from DIR`, where DIR holds the published files, the numbers are remade too.

    import hwnasbench

    archs = hwnasbench.propose("nasbench201", n=10)      # which to measure first
    values_ms = [...]                                    # one number each, from your board
    device = hwnasbench.onboard(
        "my_board", space="nasbench201", archs=archs, latency=values_ms, dataset="cifar10"
    )
    bench = hwnasbench.load("nasbench201")
    bench.query(6111, device=device)["latency"]          # Value(value, std, kind="predicted", ...)
    bench.query(6111, device="my_board").latency         # the name does too
    bench.column("latency", device=device, dataset="cifar10")
    bench.pareto(("accuracy", "latency"), device=device)
    device.resembles                                     # {{"latency": "pixel3"}}
    device.save()                                        # kept for later processes

- `energy=` in mJ is learned likewise, beside `latency=` or alone. Any 3 to 256 connected
  architectures do, each once; the proposed ones tell more than drawn ones (below).
- Every answer has the kind `predicted` and the source `onboarded:my_board`, for the measured
  architectures too: what it gives for them is what their measurement and all others say together.
  `device.archs` and `device.measurements` hold what was measured. `of` is `measured`; with
  `of="estimated"` a simulator's values are told apart.
- `std` and `interval()` are those of a new measurement. The intervals are read from the residuals of the
  devices that were left out below, at 10 or 20 measurements, whichever is nearer.
- The device lives in memory, where a later one of the same name takes its place, until `save()`. That
  writes `devices/my_board.json` in the data folder: the measurements and their setting, nothing that was
  learned. A later process finds it by name and learns it anew from the data then shipped, in under a
  second or two. `save(path)` writes elsewhere; `hwnasbench.load_device(path)` reads it.
- Spaces: those with three shipped columns of known devices or more, NAS-Bench-201 and FBNet.
- Refused, with nothing registered: fewer than 3 measurements, constant ones, NaN, infinite, zero or
  negative ones, another number of values than architectures, architectures of another space,
  disconnected or repeated ones, unknown words, the name of a device of the catalogue, a damaged file.

## How it is learned

A Gaussian process over architectures for each of some thousand priors, weighed by how probable each makes
the measurements. On the logarithm of the cost: like all known columns together, or like one of them and
a little of all, with a share that adds up over operators. On the cost itself: a sum over operators.
Priors differ in how far values spread and how noisy they are, so that whole milliseconds are noise, not
structure. Where the measurements are exactly a sum over operator counts, three more than it has terms,
the sum answers. Known columns are the shipped predictions; nothing is fetched. The few settings (shares,
spreads, noises) were compared on columns of other chips than the six of the first table, with the numbers
of the six in sight: they are held out from the fits, not from the eyes of who chose.

## How well

Each chip in turn is left out: every column of it, at any batch, precision, engine and source. Its
published values are then predicted from the shipped columns of all other chips, which were learned from
each device's own values alone. The rank correlation (Spearman) is over all published connected
architectures that were not measured, the mean of {draws} random draws of the measured ones. Beside it,
from the same samples: the best single known column, chosen by its rank correlation on them, and a ridge
regression on the logarithms of all known columns. `proposed` measures what `propose` says (without the
chip; of what the source published). Columns of one chip:

{chips}
All other devices stand alone; `chip mean` counts each chip once, however many columns it has. Titan RTX
and RTX 2080 Ti are one die (at batch 256 they agree to .9995), as are the GP102 cards: leaving only the
named device out would be easier. `lowest` is the worst of the draws: drawn cells can be unlucky, the
proposed ones are made not to be. eyeriss is exact; what is missing from 1 is the order of published values
that differ in their last bits alone.
"""


def page(card: Card) -> str:
    """Return the whole page as Markdown."""
    chips = "".join(f"- {chip}: {', '.join(devices)}\n" for chip, devices in CHIPS.items())
    lines = [_TEXT.format(draws=card["draws"], chips=chips)]
    tested = _select(card, "nasbench201", "latency", _is_tested)
    lines += ["### HELP's test devices, NAS-Bench-201 latency\n", _table(tested), *_verdicts(card), ""]
    for space in ("nasbench201", "fbnet"):
        for metric in ("latency", "energy"):
            found = _select(card, space, metric)
            if found:
                lines += [f"### Every published column: {_TITLES[space]}, {metric}\n", _table(found, "chip mean")]
    lines += ["## Intervals\n", *_intervals(card), "", _SIMILARITY]
    return "\n".join(lines)


_SIMILARITY = """\
## How alike devices are

`hwnasbench.device_similarity("nasbench201")` is the table of rank correlations between all known
columns, `hwnasbench.onboarding.similarity.plot_similarity` its picture (extra `plot`):

![Rank correlation between devices on NAS-Bench-201](images/device_similarity_nasbench201.png)

![Rank correlation between devices on FBNet](images/device_similarity_fbnet.png)
"""


def _select(card: Card, space: str, metric: str, wanted: Callable[[Card], bool] = lambda column: True) -> list[Card]:
    return [c for c in card["columns"].values() if (c["space"], c["metric"]) == (space, metric) and wanted(c)]


def _is_tested(column: Card) -> bool:
    return column["source"] == "help" and (column["keys"]["device"], column["keys"]["batch"]) in TESTED


def _table(columns: list[Card], by_chip: str = "") -> str:
    groups = [
        f"{judge} @{n}" for n in SIZES for judge in ("ours", "lowest", "best proxy", "ridge", "proposed", "MAPE %")
    ]
    rows = []
    for column in columns:
        keys = column["keys"]
        told = " ".join(str(keys[k]) for k in ("device", "dataset", "engine", "precision") if k in keys)
        rows.append([f"{told}, batch {keys['batch']}", column["source"], *_cells([column])])
    rows.append([f"**mean of {len(columns)}**", "", *_cells(columns)])
    chips = sorted({column["chip"] for column in columns})
    if by_chip and len(chips) > 1:
        means = [[c for c in columns if c["chip"] == chip] for chip in chips]
        cells = [np.mean([float(_cells(group)[i]) for group in means]) for i in range(len(groups))]
        shown = [f"{v:.1f}" if name.startswith("MAPE") else f"{v:.4f}" for v, name in zip(cells, groups, strict=True)]
        rows.append([f"**{by_chip} of {len(chips)}**", "", *shown])
    return table(["column", "source", *groups], 2, rows)


def _cells(columns: list[Card]) -> list[str]:
    out = []
    for n in map(str, SIZES):
        names = ("spearman", "lowest", "proxy", "ridge")
        out += [f"{mean(c[n][name] for c in columns):.4f}" for name in names]
        out.append(f"{mean(c[n]['proposed']['spearman'] for c in columns):.4f}")
        out.append(f"{100 * mean(c[n]['mape'] for c in columns):.1f}")
    return out


def mean(values: Iterable[float]) -> float:
    """Return the mean of some numbers."""
    return float(np.mean(list(values)))


def means(card: Card, space: str, size: int) -> dict[str, float]:
    """Return the mean correlations that the goal of a space speaks of: ours, the best proxy's, the ridge's."""
    found = _select(card, space, "latency", _is_tested if space == "nasbench201" else lambda column: True)
    return {name: mean(c[str(size)][name] for c in found) for name in _JUDGES}


def _verdicts(card: Card) -> list[str]:
    lines = ["| mean Spearman | goal | ours | best proxy | ridge | reached |", "|---|---:|---:|---:|---:|---|"]
    for (space, size), goal in GOALS.items():
        found = means(card, space, size)
        reached = found["spearman"] >= goal and found["spearman"] > found["proxy"]
        what = "HELP's test devices" if space == "nasbench201" else "all columns"
        cells = " | ".join(f"{found[name]:.4f}" for name in _JUDGES)
        lines.append(f"| {_TITLES[space]}, {what}, {size} samples | {goal} | {cells} | {'yes' if reached else 'no'} |")
    return lines


def _intervals(card: Card) -> list[str]:
    lines = [
        "Share of a left-out chip's values inside the intervals that the residuals of all other chips give:",
        "the mean over chips, and the chip with the least. Few measurements cannot tell how a chip differs",
        "from all known ones, so that single chips stray far from the nominal share.\n",
        "| space | measurements | chips | nominal | mean | least |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for space, sizes in sorted(card["coverage"].items()):
        for size, levels in sizes.items():
            for level, found in levels.items():
                shares = " | ".join(f"{100 * found[name]:.1f} %" for name in ("mean", "lowest"))
                lines.append(
                    f"| {_TITLES[space]} | {size} | {found['chips']} | {100 * float(level):.0f} % | {shares} |"
                )
    return lines
