"""Write ``docs/measurements.md``: ``python -m data_builders.measure.report SAMPLES --from SOURCES``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from data_builders.markdown import table
from data_builders.measure import cells, published, report_cells
from data_builders.measure.machine import Machine
from hwnasbench.tables.write import atomically

if TYPE_CHECKING:
    import pandas as pd

    from data_builders.measure.published import Samples

#: The page in a checkout.
_DEFAULT = Path(__file__).parents[2] / "docs" / "measurements.md"
_TEXT = """# What this project measured

Latencies timed as `hwnasbench measure` does ([how](measuring.md#how-networks-are-timed)), each with the rounds that the
tables state; every raw sample lies in the folder `measurements` of the repository. This page is printed from them by

    python -m data_builders.measure.report measurements --from SOURCES

(SOURCES: the folder of published files, as for `hwnasbench build --from`), and the tables that ship are made from them
by `hwnasbench measurements --from measurements`.

FBNet and MobileNetV2 (width 1.0) are timed at 224 px in single blocks, each unique one, and in {whole} whole networks
drawn with seed {seed}. A query is answered by the sum of the blocks, corrected on the whole networks; its kind is
`estimated`, and its std the error of held-out networks. MobileNetV2 of other widths or image sizes was not timed and
has the status `not_measured`.

Of NAS-Bench-201 one architecture of each graph is timed, at 32 px (CIFAR-10) or 16 px (ImageNet16-120). Its kind is
`measured`; whatever else has the same graph once dead edges are removed and the inner nodes are exchanged has the same
value, as `estimated`, flagged `copied`.

Not measured yet: GPUs; energy (the machines give no meter). No processor has every column: `xeon_amx_s8` was timed at
16 px alone, `xeon_amx_s1` at 32 px in int8 alone, without repeats, swapped cells or fp32 of that size beside it.
"""
#: Beside the page.
PICTURE = "images/measurements_{device}.png"


def page(found: list[Samples], theirs: dict[str, pd.Series]) -> str:
    """Return the page of some raw samples as Markdown.

    Parameters
    ----------
    found : list of Samples
    theirs : dict
        As `report_cells.published_columns` returns them; the section that compares with them comes last.
    """
    lines = [_TEXT.format(whole=published.WHOLE, seed=published.SEED)]
    for device in sorted({samples.path.parent.name for samples in found}):
        own = [samples for samples in found if samples.path.parent.name == device]
        ratios = _ratios(own)
        lines += [f"## {device}\n", *_machine(own), *_spreads(own), *_corrections(own), *ratios]
        repeats = report_cells.agreements(own)
        if repeats:
            lines += [report_cells.AGREEMENT_TEXT, table(report_cells.AGREEMENT, 4, repeats)]
            what = "Differences of repeats" + ", and precisions against fp32" * bool(ratios)
            lines.append(f"![{what}]({PICTURE.format(device=device)})\n")
    compared = report_cells.comparisons(found, theirs)
    if compared:
        lines += [report_cells.PUBLISHED_TEXT, table(report_cells.PUBLISHED, 5, compared)]
    return "\n".join(lines)


def _machine(own: list[Samples]) -> list[str]:
    machine = Machine(**own[0].about["machine"])
    versions = {(name, version) for samples in own for name, version in samples.about["versions"].items()}
    told = ", ".join(f"{name} {version}" for name, version in sorted(versions))
    clocks = {f"{s.keys['engine']} {s.keys['precision']}": s.clock for s in own}
    bases = "; ".join(f"{name} {1e3 * one.base:.3f} ms, power {one.slope:.2f}" for name, one in sorted(clocks.items()))
    return [
        f"{machine.title}: {machine.vendor}, family {machine.family}, model {machine.model}, stepping "
        f"{machine.stepping}; {machine.cores} cores; {machine.features}. {told}. The reference: {bases}.\n"
    ]


def _label(samples: Samples) -> tuple[str, ...]:
    return (samples.space, samples.what, str(samples.keys["engine"]), str(samples.keys["precision"]))


def _spreads(own: list[Samples]) -> list[str]:
    rows = (
        (
            *_label(samples),
            f"{len(samples.frame):,}",
            str(samples.about["protocol"]["rounds"]),
            f"{100 * samples.spread.disturbed:.0f} %",
            f"{samples.frame['value'].median():.3f}",
            f"{100 * samples.spread.within:.1f} %",
            f"{100 * samples.spread.between:.2f} %",
            f"{100 * samples.spread.uncorrected:.2f} %",
            f"{samples.spread.kendall:.3f}",
            f"{100 * samples.spread.first:+.2f} %",
            str(samples.cores),
        )
        for samples in own
    )
    header = (
        "space",
        "what",
        "engine",
        "precision",
        "timed",
        "rounds",
        "disturbed",
        "median ms",
        "within",
        "between",
        "uncorrected",
        "Kendall",
        "first",
        "cores",
    )
    return [
        "### How well the times agree\n",
        "`rounds` are those of a process that count, `disturbed` the share of all that do not, "
        "`within` is how far the ninetieth percentile of a process's rounds lies above their minimum, `between` the "
        "standard deviation of the minima of three processes (medians over networks; the reference corrects them, or "
        "not: `uncorrected`), `Kendall` how two processes rank: low where the times are close together, `first` by how "
        "much the first of the three differs from the others (corrected, at the median), and `cores` on how many its "
        "chunks were timed: where these are two, two processes ran at once for the most part.\n",
        table(header, 4, rows),
        *_kept_by_engines(own),
    ]


def _kept_by_engines(own: list[Samples]) -> list[str]:
    """Say where the engine kept what it had compiled."""
    told = [" ".join(_label(samples)) for samples in own if samples.cached]
    if not told:
        return []
    return [
        "The engine kept what it had compiled, so that most chunks of the second and third process were loaded, in "
        f"these: {', '.join(told)}.\n"
    ]


def _corrections(own: list[Samples]) -> list[str]:
    rows = []
    for blocks, networks in published.pairs(own):
        found = published.corrected(blocks, networks)
        rows.append(
            (
                blocks.space,
                *_label(blocks)[2:],
                f"{found.start:.3f}",
                f"{found.block:.4f}",
                f"{found.factor:.3f}",
                f"{100 * found.plain:.1f} %",
                f"{100 * found.mape:.1f} %",
                f"{100 * found.worst:.1f} %",
                f"{found.rmse:.3f}",
                f"{found.spearman:.3f}",
            )
        )
    if not rows:
        return []
    header = ("space", "engine", "precision", "start ms", "a block ms", "factor", "error of the sum", "corrected")
    return [
        "### From blocks to networks\n",
        "`whole = start + a block x blocks + factor x sum`, fitted by least squares of the relative errors; errors are "
        "means, of networks that the fit did not see (5 folds).\n",
        table((*header, "worst", "RMSE ms", "Spearman"), 3, rows),
    ]


def _ratios(own: list[Samples]) -> list[str]:
    """Compare precisions of one engine on the same networks: on those that were repeated, where no more ran at fp32."""
    by_label = {_label(samples): samples for samples in own}
    rows = []
    for (space, what, engine, precision), samples in sorted(by_label.items()):
        again = by_label.get((space, f"{what}_{cells.AGAIN}", engine, "fp32"))
        full = by_label.get((space, what, engine, "fp32"), again)
        if precision == "fp32" or full is None:
            continue
        both = full.frame.merge(samples.frame, on="name")
        ratio = both["value_x"] / both["value_y"]
        rank = both["value_x"].rank().corr(both["value_y"].rank())
        low, middle, high = ratio.quantile([0.1, 0.5, 0.9])
        of = (space, what, engine, precision, f"{len(both):,}")
        rows.append((*of, f"{low:.2f}", f"{middle:.2f}", f"{high:.2f}", f"{rank:.3f}"))
    if not rows:
        return []
    header = ("space", "what", "engine", "precision", "networks", "10 %", "median", "90 %", "Spearman with fp32")
    return ["### How much faster than fp32\n", table(header, 4, rows)]


def main(arguments: list[str]) -> None:
    """Write the page and its picture; see the module."""
    parser = argparse.ArgumentParser(prog="python -m data_builders.measure.report", description=__doc__)
    parser.add_argument("samples", type=Path, help="folder of raw samples")
    parser.add_argument("--from", dest="sources", type=Path, required=True, help="folder of published files")
    parser.add_argument("--out", type=Path, default=_DEFAULT, help="the page")
    given = parser.parse_args(arguments)
    found = published.read(given.samples)
    text = page(found, report_cells.published_columns(given.sources))
    atomically(given.out, lambda temporary: temporary.write_text(text, "utf-8"))
    for device in sorted({samples.path.parent.name for samples in found}):
        own = [samples for samples in found if samples.path.parent.name == device]
        if report_cells.agreements(own):
            report_cells.draw(own, given.out.parent / PICTURE.format(device=device))


if __name__ == "__main__":
    main(sys.argv[1:])
