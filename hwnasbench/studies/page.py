"""One HTML page of a study that needs nothing beside it: pictures, tables, what the numbers came from."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hwnasbench.search.objectives.base import reference
from hwnasbench.studies import charts
from hwnasbench.studies.palette import colours
from hwnasbench.studies.statistics import LEVEL
from hwnasbench.vocabulary import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwnasbench.studies.landscape import Landscape
    from hwnasbench.studies.spec import Problem, Study
    from hwnasbench.studies.statistics import Outcome, Ranks

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1050px; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; display: block; overflow-x: auto; }
th, td { padding: .25em .7em; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th:first-child, td:first-child, td.word, th.word { text-align: left; }
code, pre { font-size: 12px; background: #f6f6f6; } pre { padding: 1em; overflow-x: auto; }
td.word { white-space: normal; }
.note { color: #555; } .dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; }
"""


@dataclass(frozen=True, eq=False)
class Chapter:
    """What the report says of one problem."""

    problem: Problem
    outcome: Outcome
    curves: pd.DataFrame
    final: pd.DataFrame
    pairs: pd.DataFrame
    ranks: Ranks
    landscape: Landscape


def page(
    study: Study,
    about: Mapping[str, Any],
    chapters: Sequence[Chapter],
    overall: Ranks | None,
    checksums: Mapping[str, str],
    citations: str,
) -> str:
    """Return the report of a study.

    Parameters
    ----------
    study : Study
    about : mapping
        The metadata of the trajectories.
    chapters : sequence of Chapter
    overall : Ranks or None
        Over all problems, where there are several.
    checksums : mapping of str to str
        SHA-256 of each file beside the report.
    citations : str
        BibTeX.
    """
    title = study.title or study.name
    body = [f"<h1>{_text(title)}</h1>", f"<p>{_text(study.description)}</p>" if study.description else ""]
    body += [_summary(study), *(_chapter(at, chapter) for at, chapter in enumerate(chapters))]
    if overall is not None:
        body.append("<h2 id='ranks'>All problems</h2>")
        body.append(_ranked(overall, "ranks-all", "problems, each by the median over its seeds"))
    body += [_searchers(study), _data(about, checksums, citations), _study(study)]
    head = f"<meta charset='utf-8'><title>{_text(title)}</title><style>{_STYLE}</style>"
    return (
        f"<!DOCTYPE html>\n<html lang='en'><head>{head}<script>{charts.script()}</script></head>\n"
        f"<body>\n{chr(10).join(part for part in body if part)}\n</body></html>\n"
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _summary(study: Study) -> str:
    limits = [f"{study.budget.queries:,} evaluations"] if study.budget.queries is not None else []
    limits += [f"{study.budget.seconds:,g} simulated seconds"] if study.budget.seconds is not None else []
    return (
        f"<p>{_count(study.problems, 'problem')}, {_count(study.searchers, 'searcher')}, "
        f"{_count(study.seeds, 'seed')}; each run has {' and '.join(limits)}. A searcher sees "
        "what its problem names as split; all that is shown here is as reported, with test accuracy.</p>"
    )


def _count(things: Sequence[object], word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


def _chapter(at: int, chapter: Chapter) -> str:
    found = chapter.outcome
    less = "what is missing to the best of the space, so less is better" if found.sign < 0 else "more is better"
    return "\n".join(
        [
            f"<h2 id='problem-{at}'>{_text(found.problem)}</h2>",
            f"<p>{_text(_said(chapter.problem))}</p>",
            f"<p class='note'>Median and quartiles of the {found.measure} ({less}) of the best found so far, over "
            f"{_count(found.seeds, 'seed')}.</p>",
            charts.div(charts.anytime(found, chapter.curves), f"anytime-{at}"),
            _final(chapter),
            charts.div(charts.pareto(chapter.landscape), f"pareto-{at}"),
            _ranked(chapter.ranks, f"ranks-{at}", "seeds") if len(found.values) > 1 else "",
            _pairs(chapter.pairs),
        ]
    )


def _said(problem: Problem) -> str:
    """Say in a line what is searched, and what for."""
    device = "" if problem.device is None else f" on {problem.device}"
    limits = "".join(f", {_limit(name, value)}" for name, value in problem.limits.items())
    settings = {"metric": "accuracy"} if problem.objective == {"name": "metric"} else problem.objective
    objective = ", ".join(f"{key} = {value}" for key, value in settings.items() if key != "name")
    epochs = f" after {problem.epochs} epochs" if problem.epochs else ""
    return (
        f"{problem.space.make().title}{device}. Objective: {problem.objective['name']} ({objective}){limits}. "
        f"The search sees {problem.split} accuracy{epochs}."
    )


def _limit(name: str, value: float) -> str:
    metric = METRICS[reference(name).metric]
    unit = "" if metric.unit == "1" else f" {metric.unit}"
    return f"{name} at {'least' if metric.direction == 'max' else 'most'} {value:g}{unit}"


def _final(chapter: Chapter) -> str:
    """Return the table of the ends of all runs, means with their standard deviation."""
    rows = []
    records: Any = chapter.final.to_dict("records")
    for row in records:
        said = {"searcher": row["searcher"], "runs": row["runs"]}
        said[f"{row['measure']}, median"] = row["median"]
        said["quartiles"] = f"{_cell(row['q25'])} to {_cell(row['q75'])}"
        said["mean"] = _spread(row["mean"], row["std"])
        if chapter.outcome.sign < 0:
            said["at the best"] = f"{row['at_best']:.0%}"
        said["mean rank"] = row["rank"]
        for name in (key.removesuffix("_mean") for key in row if key.startswith("report_") and key.endswith("_mean")):
            if name != "report_score" and not np.isnan(row[f"{name}_mean"]):
                said[name.removeprefix("report_")] = _spread(row[f"{name}_mean"], row[f"{name}_std"])
        rows.append(said)
    return _table(pd.DataFrame(rows), list(chapter.outcome.values))


def _spread(mean: float, std: float) -> str:
    return _cell(mean) if np.isnan(std) else f"{_cell(mean)} ± {_cell(std)}"


def _pairs(pairs: pd.DataFrame) -> str:
    if pairs.empty:
        return ""
    return (
        "<p class='note'>Wilcoxon signed-rank tests, two-sided, paired by seed, with Holm's correction over the pairs; "
        f"better is who is ahead at {LEVEL:g}.</p>" + _table(pairs.drop(columns="problem"))
    )


def _ranked(found: Ranks, name: str, blocks: str) -> str:
    friedman = f"Friedman test: p = {found.friedman:.3g}. " if np.isfinite(found.friedman) else ""
    return (
        f"<p class='note'>Ranks over {found.blocks} {blocks}. {friedman}Mean ranks that differ by less than "
        f"{found.critical:.3f} do not differ at {LEVEL:g} (Nemenyi).</p>" + charts.div(charts.ranks(found), name)
    )


def _table(frame: pd.DataFrame, searchers: Sequence[str] = ()) -> str:
    """Return a table; a coloured dot leads the row of a searcher."""
    dots = {
        name: f"<span class='dot' style='background:{colour}'></span> " for name, colour in colours(searchers).items()
    }
    kinds = [" class='word'" if pd.api.types.is_string_dtype(frame[name]) else "" for name in frame.columns]
    heads = "".join(f"<th{kind}>{_text(n)}</th>" for n, kind in zip(frame.columns, kinds, strict=True))
    rows = [
        "".join(f"<td{kind}>{dots.get(v, '')}{_cell(v)}</td>" for v, kind in zip(row, kinds, strict=True))
        for row in frame.itertuples(index=False, name=None)
    ]
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table>"


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return _text(value)
    return "" if np.isnan(value) else f"{value:.4g}" if abs(value) < 10 else f"{value:.2f}"


def _searchers(study: Study) -> str:
    rows = []
    for contender in study.searchers:
        kind = contender.kind()
        settings = ", ".join(f"{key} = {value}" for key, value in contender.settings.items())
        rows.append([contender.label, getattr(kind, "title", ""), settings, getattr(kind, "paper", "")])
    frame = pd.DataFrame(rows, columns=["searcher", "title", "settings", "paper"])
    return "<h2 id='searchers'>Searchers</h2>" + _table(frame, [contender.label for contender in study.searchers])


def _data(about: Mapping[str, Any], checksums: Mapping[str, str], citations: str) -> str:
    rows = [
        [name, of["space"], of["release"], of["fingerprint"], ", ".join(of["sources"])]
        for name, of in about["problems"].items()
    ]
    frame = pd.DataFrame(rows, columns=["problem", "space", "data release", "fingerprint", "sources"])
    files = pd.DataFrame(sorted(checksums.items()), columns=["file", "SHA-256"])
    return (
        f"<h2 id='data'>Data</h2><p>hwnasbench {_text(about['version'])}; study digest <code>{_text(about['digest'])}"
        f"</code>.</p>{_table(frame)}{_table(files)}<h2 id='citations'>Citations</h2><pre>{_text(citations)}</pre>"
    )


def _study(study: Study) -> str:
    text = json.dumps(study.model_dump(mode="json", exclude_defaults=True), indent=1)
    return f"<h2 id='study'>The study</h2><pre>{_text(text)}</pre>"
