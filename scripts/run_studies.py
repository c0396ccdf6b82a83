"""Runs the studies of the folder ``studies`` and writes what ``docs/search.md`` and ``docs/studies`` say of them.

usage: python scripts/run_studies.py [STUDY ...] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

from data_builders.markdown import table
from hwnasbench import search, studies
from hwnasbench.search import objectives

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "search.md"
RESULTS = ROOT / "docs" / "studies"
#: What the page keeps of a study's folder; trajectories and the interactive report are a command away.
KEPT = ("statistics/final.csv", "statistics/pairs.csv", "statistics/ranks.csv", "pictures/anytime_*.png")
#: What NAS-Bench-201 published: mean and standard deviation of the test accuracy (X. Dong and Y. Yang,
#: NAS-Bench-201, ICLR 2020, Table 5; recalled).
PUBLISHED = {"regularized_evolution": (93.92, 0.30), "reinforce": (93.85, 0.37), "random": (93.70, 0.36)}
FIGURE = "nasbench201_figure"


def main() -> None:
    """Run the named studies, all by default, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="studies, by the names of their files; all by default")
    parser.add_argument("--out", type=Path, default=ROOT / "study-output", help="where their whole results go")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    for path in sorted((ROOT / "studies").glob("*.toml")):
        if path.stem in given.names or not (given.names or path.stem == "demo"):
            folder = given.out / path.stem
            studies.run(studies.read(path), folder, jobs=given.jobs, say=print)
            studies.report(folder)
            keep(folder, RESULTS / path.stem)
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")


def keep(folder: Path, target: Path) -> None:
    """Copy what the page needs of a study's results."""
    shutil.rmtree(target, ignore_errors=True)
    for pattern in KEPT:
        for path in sorted(folder.glob(pattern)):
            (target / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / path.parent.name / path.name)


def page(text: str) -> str:
    """Return the page with its made parts replaced."""
    for name, made in (("searchers", searchers()), ("objectives", goals()), ("studies", results())):
        head, mark, rest = text.partition(f"<!-- {name}: made by scripts/run_studies.py -->\n")
        _, end, tail = rest.partition("<!-- end -->\n")
        if not (mark and end):
            raise ValueError(f"the page has no place for {name}")
        text = f"{head}{mark}{made}{end}{tail}"
    return text


def searchers() -> str:
    """Return the table of searchers."""
    lines = ["| searcher | what it is | paper |", "|---|---|---|"]
    for name in search.names():
        found = search.get(name)
        lines.append(f"| `{name}` | {found.title} | {found.paper} |")
    return "\n".join(lines) + "\n"


def goals() -> str:
    """Return the table of objectives."""
    lines = ["| objective | what it scores | paper |", "|---|---|---|"]
    for name in objectives.names():
        found = objectives.get(name)
        told = (found.__doc__ or "").strip().splitlines()[0]
        lines.append(f"| `{name}` | {told} | {found.paper} |")
    return "\n".join(lines) + "\n"


def results() -> str:
    """Return the section of each study whose results are kept."""
    sections = []
    for folder in sorted(path for path in RESULTS.glob("*") if path.is_dir()):
        study = studies.read(ROOT / "studies" / f"{folder.name}.toml")
        sections += [f"### {study.title}\n\n{study.description} `studies/{folder.name}.toml`.\n", _figure(folder)]
        sections.append(_final(_rows(folder)))
        sections += [
            f"![{path.stem}](studies/{folder.name}/pictures/{path.name})\n"
            for path in sorted((folder / "pictures").glob("*.png"))[:1]
        ]
    return "\n".join(section for section in sections if section)


def _rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "statistics" / "final.csv").read_text("utf-8").splitlines()))


def _final(rows: list[dict[str, str]]) -> str:
    header = ("problem", "searcher", "runs", "score", "regret or gap, median", "quartiles", "rank")
    cells = []
    for row in rows:
        score = f"{float(row['report_score_mean']):.3f} ± {float(row['report_score_std']):.3f}"
        spread = f"{float(row['q25']):.3f} to {float(row['q75']):.3f}"
        numbers = (row["runs"], score, f"{float(row['median']):.3f}", spread, f"{float(row['rank']):.2f}")
        cells.append((row["problem"], row["searcher"], *numbers))
    return table(header, 2, cells)


def _figure(folder: Path) -> str:
    """Set NAS-Bench-201's published numbers beside ours, by the rule that its study's file wrote down first."""
    if folder.name != FIGURE:
        return ""
    told = ("report_accuracy_mean", "report_accuracy_std")
    ours = {row["searcher"]: tuple(float(row[name]) for name in told) for row in _rows(folder)}
    lines = ["| searcher | published (recalled) | here | within one published deviation |", "|---|---:|---:|---|"]
    for name, (mean, std) in PUBLISHED.items():
        near = "yes" if abs(ours[name][0] - mean) <= std else "no"
        lines.append(f"| {name} | {mean:.2f} ± {std:.2f} | {ours[name][0]:.2f} ± {ours[name][1]:.2f} | {near} |")
    same = sorted(ours, key=lambda name: -ours[name][0]) == sorted(PUBLISHED, key=lambda name: -PUBLISHED[name][0])
    lines.append(f"\nThe order of the means is {'the same' if same else 'another'}.\n")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
