"""From trajectories to statistics, pictures and the report, all beside them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.compute as pc

from hwnasbench.errors import InvalidRequest
from hwnasbench.studies import files, pictures, problems, statistics, trajectories
from hwnasbench.studies.landscape import landscape
from hwnasbench.studies.page import Chapter, page
from hwnasbench.studies.spec import Study

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwnasbench.studies import spec


def write(out: Path | str) -> Path:
    """Write what the trajectories of a study say: ``statistics/``, ``pictures/`` and ``report.html``.

    The bytes depend on the trajectories and the data alone.

    Parameters
    ----------
    out : Path or str
        Folder that `hwnasbench.studies.run` filled.

    Returns
    -------
    Path
        Of the report.

    Raises
    ------
    InvalidRequest
        When the folder holds no finished study, or the data is no longer that of the runs.
    """
    out = Path(out)
    study, about = _finished(out)
    chapters = [_chapter(study, given, about, out) for given in study.problems]
    outcomes = [chapter.outcome for chapter in chapters]
    overall = statistics.over_problems(outcomes) if len(outcomes) > 1 else None
    written = _write_statistics(chapters, out) + _write_pictures(study, chapters, overall, out)
    sums = {path.relative_to(out).as_posix(): _checksum(path) for path in [out / "trajectories.parquet", *written]}
    text = page(study, about, chapters, overall, sums, _citations(study, about))
    report = out / "report.html"
    files.write(report, text)
    return report


def _finished(out: Path) -> tuple[Study, dict[str, Any]]:
    try:
        study = Study.model_validate_json((out / "study.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{out} holds no study: {error}; expected a folder that `study run` wrote") from error
    table = out / "trajectories.parquet"
    if not table.is_file():
        raise InvalidRequest(f"{out} holds no finished study: {table.name} is missing; run the study again")
    about = trajectories.about(table)
    if about["digest"] != study.digest:
        raise InvalidRequest(f"{table} is of another version of the study {study.name}; run the study again")
    return study, about


def _chapter(study: Study, given: spec.Problem, about: Mapping[str, Any], out: Path) -> Chapter:
    facts = about["problems"][given.name]
    now = problems.facts(problems.make(given), None)
    if (now.release, now.fingerprint) != (facts["release"], facts["fingerprint"]):
        raise InvalidRequest(
            f"the data of {given.name} is {now.release} ({now.fingerprint[:12]}) and its runs were made with "
            f"{facts['release']} ({facts['fingerprint'][:12]}); run the study again"
        )
    table = trajectories.read(out / "trajectories.parquet", filters=pc.field("problem") == given.name)
    runs = table.to_pandas()
    found = statistics.outcome(given.name, facts, runs, study.budget.model_dump())
    return Chapter(
        given,
        found,
        statistics.curves(found),
        statistics.final(found, runs),
        statistics.pairs(found),
        statistics.ranks(found.final()),
        landscape(given, runs),
    )


def _write_statistics(chapters: Sequence[Chapter], out: Path) -> list[Path]:
    frames = {
        "curves": pd.concat([chapter.curves for chapter in chapters]),
        "final": pd.concat([chapter.final for chapter in chapters]),
        "pairs": pd.concat([chapter.pairs for chapter in chapters]),
        "ranks": statistics.rank_table([chapter.outcome for chapter in chapters]),
    }
    paths = []
    for name, frame in frames.items():
        paths.append(out / "statistics" / f"{name}.csv")
        files.write(paths[-1], frame.to_csv(index=False, lineterminator="\n"))
    return paths


def _write_pictures(
    study: Study, chapters: Sequence[Chapter], overall: statistics.Ranks | None, out: Path
) -> list[Path]:
    drawn = {}
    for chapter in chapters:
        name = chapter.outcome.problem
        drawn[f"anytime_{name}"] = pictures.anytime(chapter.outcome, chapter.curves, name)
        drawn[f"pareto_{name}"] = pictures.pareto(chapter.landscape, name)
        if len(study.searchers) > 1:
            drawn[f"ranks_{name}"] = pictures.critical_difference(chapter.ranks, name)
    if overall is not None and len(study.searchers) > 1:
        drawn["ranks"] = pictures.critical_difference(overall, study.title or study.name)
    for name, figure in drawn.items():
        pictures.save(figure, out / "pictures" / name)
    return [out / "pictures" / f"{name}.{form}" for name in drawn for form in ("png", "svg")]


def _citations(study: Study, about: Mapping[str, Any]) -> str:
    """Return the BibTeX of everything behind the problems, each entry once."""
    entries: dict[str, None] = {}
    for given in study.problems:
        bench = problems.make(given).bench
        text = bench.cite(about["problems"][given.name]["sources"])
        entries |= dict.fromkeys("@" + entry.strip() for entry in ("\n" + text).split("\n@")[1:])
    return "\n\n".join(entries) + "\n"


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
