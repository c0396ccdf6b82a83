"""Runs a study: every searcher on every problem with every seed, in chunks that a killed run keeps."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import traceback
from concurrent.futures import as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import hwnasbench
from hwnasbench import executors, search
from hwnasbench.errors import CorruptFile, HwnasbenchError, InvalidRequest, StudyIncomplete
from hwnasbench.studies import files, problems, spec, trajectories
from hwnasbench.studies.judging import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor


class Failure(NamedTuple):
    """A run that raised."""

    problem: str
    searcher: str
    seed: int
    error: str
    traceback: str


@dataclass(frozen=True)
class Chunk:
    """Runs of one searcher on one problem.

    Attributes
    ----------
    problem, contender, budget
        Of the study.
    runs : tuple of (int, int)
        The number of each run, and the seed that its searcher gets.
    key : str
        Digest of all that the runs depend on.
    """

    problem: spec.Problem
    contender: spec.Contender
    budget: spec.Limits
    runs: tuple[tuple[int, int], ...]
    key: str

    def path(self, out: Path) -> Path:
        first, last = self.runs[0][0], self.runs[-1][0]
        return out / "runs" / self.problem.name / self.contender.label / f"{first:05d}-{last:05d}.parquet"


class Answer(NamedTuple):
    """What became of a chunk: the file of the runs that were finished, and the others."""

    file: bytes
    finished: tuple[int, ...]
    failures: tuple[Failure, ...]


def run(
    study: spec.Study,
    out: Path | str,
    *,
    jobs: int = 1,
    executor: Executor | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> Path:
    """Run what is not finished yet of a study, and write ``OUT/trajectories.parquet``.

    The bytes depend on the study and the data alone: neither on the order of the runs nor on where they ran.

    Parameters
    ----------
    study : Study
    out : Path or str
        Folder; finished runs lie under ``runs/``.
    jobs : int
        Processes of this machine.
    executor : concurrent.futures.Executor, optional
        Where the runs go instead.
    say : callable
        Is told of progress.

    Returns
    -------
    Path
        Of the table.

    Raises
    ------
    InvalidRequest
        When the folder holds another study, or a problem or a searcher's setting is refused; nothing was run then.
    StudyIncomplete
        When a run raised. The others are kept, ``OUT/failures.json`` holds the tracebacks, and the next call runs what
        is missing.
    """
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise InvalidRequest(f"jobs={jobs!r}; expected 1 or more")
    out = Path(out)
    _check_folder(study, out)
    facts = _prepare(study)
    files.write(out / "study.json", study.model_dump_json(indent=1) + "\n")
    chunks = _chunks(study, facts)
    waiting = [left for chunk in chunks if (left := _remaining(chunk, out)) is not None]
    total, done = sum(len(chunk.runs) for chunk, _ in waiting), 0
    failures: list[Failure] = []
    with ExitStack() as stack:
        if executor is None and jobs > 1 and len(waiting) > 1:
            executor = stack.enter_context(executors.processes(min(jobs, len(waiting))))
        for (chunk, whole), answer in _answers(waiting, executor):
            _keep(whole, answer, out)
            failures += answer.failures
            done += len(chunk.runs)
            say(f"{done}/{total} runs: {chunk.problem.name}, {chunk.contender.label}")
    _conclude(study, failures, out)
    table = out / "trajectories.parquet"
    parts = [
        (problem.name, [(c.contender.label, c.path(out)) for c in chunks if c.problem is problem])
        for problem in study.problems
    ]
    trajectories.assemble(table, parts, _about(study, facts))
    return table


def seed_of(study: spec.Study, problem: int, searcher: int, number: int) -> int:
    """Return the seed of a run by its position in the study: 31 bits, which every library takes."""
    sequence = np.random.SeedSequence(study.seed, spawn_key=(problem, searcher, number))
    return int(sequence.generate_state(1)[0]) >> 1


def run_chunk(chunk: Chunk) -> Answer:
    """Make the runs of a chunk; one that raises is recorded, and the others go on."""
    problem, arbiter, kind = problems.make(chunk.problem), judge(chunk.problem), chunk.contender.kind()
    tables, finished, failures = [], [], []
    with _one_thread():
        for number, seed in chunk.runs:
            # What one run asked would change the last digit of a batch that another asks.
            problem.forget()
            try:
                found = search.run(kind, problem, seed=seed, **chunk.budget.model_dump(), **chunk.contender.settings)
                table = arbiter.table(found)
            except Exception as error:
                failures.append(_failure(chunk, number, error))
                continue
            tables.append(table.append_column("seed", [np.full(len(table), number, np.int32)]))
            finished.append(number)
    return Answer(trajectories.encode(tables, {"key": chunk.key, "seeds": finished}), tuple(finished), tuple(failures))


# -- within -----------------------------------------------------------------------------------


def _check_folder(study: spec.Study, out: Path) -> None:
    """Refuse a folder of another study."""
    path = out / "study.json"
    if not path.exists():
        return
    try:
        name = json.loads(path.read_text("utf-8"))["name"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFile(f"{path} does not say which study {out} holds: {error}; give another folder") from error
    if name != study.name:
        raise InvalidRequest(f"{out} holds the study {name!r}, not {study.name!r}; give another folder")


def _prepare(study: spec.Study) -> dict[str, problems.Facts]:
    """Make every problem, and every searcher for it, before hours are spent; return what the numbers came from."""
    facts = {}
    for number, given in enumerate(study.problems):
        with spec.at(study.name, f"problems[{number}]"):
            problem = problems.make(given)
            problem.report(problem.space.sample_many(np.random.default_rng(0), 1))
            facts[given.name] = problems.facts(problem, judge(given).best)
            if study.budget.seconds is not None:
                problem.costs([tuple(problem.space.sample_many(np.random.default_rng(0), 1)[0].tolist())])
        for place, contender in enumerate(study.searchers):
            kind = contender.kind()
            try:
                kind(problem, 0, **contender.settings)
            except HwnasbenchError as error:
                raise InvalidRequest(f"{study.name}: searchers[{place}] on problems[{number}]: {error}") from error
            except Exception:
                continue  # recorded with its traceback, run by run
    return facts


def _chunks(study: spec.Study, facts: dict[str, problems.Facts]) -> list[Chunk]:
    out = []
    for p, problem in enumerate(study.problems):
        for s, contender in enumerate(study.searchers):
            depends = [
                problem.model_dump(mode="json"),
                contender.model_dump(mode="json", exclude={"label"}),
                study.budget.model_dump(),
                facts[problem.name].release,
                facts[problem.name].fingerprint,
                hwnasbench.__version__,
                _source(problem, contender),
            ]
            for first in range(0, len(study.seeds), study.chunk):
                numbers = study.seeds[first : first + study.chunk]
                runs = tuple((number, seed_of(study, p, s, number)) for number in numbers)
                out.append(Chunk(problem, contender, study.budget, runs, spec.digest([*depends, runs])))
    return out


def _source(problem: spec.Problem, contender: spec.Contender) -> str:
    """Return the digest of the code behind a run: that of all searches, and the modules of what is one's own."""
    own = {kind.__module__ for kind in contender.kind().__mro__}
    function = problem.objective.get("function")
    if isinstance(function, str):
        own.add(function.partition(":")[0])
    found = [getattr(sys.modules.get(name), "__file__", None) for name in own if name.partition(".")[0] != "hwnasbench"]
    return spec.digest([_searches(), sorted(_sha256(Path(path)) for path in found if path)])


@cache
def _searches() -> list[str]:
    """Return the digests of the code of all searches, as it was when first asked: what is loaded does not change."""
    return sorted(_sha256(path) for path in Path(search.__file__).parent.rglob("*.py"))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _remaining(chunk: Chunk, out: Path) -> tuple[Chunk, Chunk] | None:
    """Return what of a chunk is left to run, and the whole of it; None where all is finished."""
    finished = _finished(chunk, out)
    runs = tuple(run for run in chunk.runs if run[0] not in finished)
    return (replace(chunk, runs=runs), chunk) if runs else None


def _finished(chunk: Chunk, out: Path) -> set[int]:
    path = chunk.path(out)
    if not path.exists():
        return set()
    about = trajectories.about(path)
    return set(about["seeds"]) if about["key"] == chunk.key else set()


_Waiting = tuple[Chunk, Chunk]


def _answers(waiting: Sequence[_Waiting], executor: Executor | None) -> Iterator[tuple[_Waiting, Answer]]:
    """Yield what became of each chunk, as it is finished."""
    if executor is None:
        for item in waiting:
            yield item, run_chunk(item[0])
        return
    futures = {executor.submit(run_chunk, item[0]): item for item in waiting}
    try:
        for future in as_completed(futures):
            item = futures[future]
            try:
                answer = future.result()
            except Exception as error:  # the worker died, or cannot make what was made here
                failures = tuple(_failure(item[0], number, error) for number, _ in item[0].runs)
                answer = Answer(b"", (), failures)
            yield item, answer
    finally:
        for future in futures:
            future.cancel()


def _keep(chunk: Chunk, answer: Answer, out: Path) -> None:
    """Write the finished runs of a chunk, with those that were finished earlier."""
    if not answer.finished:
        return
    path, file = chunk.path(out), answer.file
    earlier = _finished(chunk, out)
    if earlier:
        seeds = [number for number, _ in chunk.runs if number in earlier | set(answer.finished)]
        tables = [trajectories.read(path), trajectories.decode(file)]
        file = trajectories.encode(trajectories.by_seed(tables, seeds), {"key": chunk.key, "seeds": seeds})
    files.write(path, file)


def _failure(chunk: Chunk, number: int, error: Exception) -> Failure:
    text = "".join(traceback.format_exception(error))
    return Failure(chunk.problem.name, chunk.contender.label, number, f"{type(error).__name__}: {error}", text)


def _conclude(study: spec.Study, failures: list[Failure], out: Path) -> None:
    """Write the tracebacks of runs that raised, and say so."""
    path = out / "failures.json"
    if not failures:
        path.unlink(missing_ok=True)
        return
    failures = sorted(failures)
    files.write(path, json.dumps([failure._asdict() for failure in failures], indent=1) + "\n")
    first = failures[0]
    runs = len(study.problems) * len(study.searchers) * len(study.seeds)
    raise StudyIncomplete(
        f"{len(failures)} of {runs} runs of {study.name} failed, first "
        f"{first.searcher} on {first.problem} with seed {first.seed}: {first.error}. The others are kept; {path} "
        "has the tracebacks; run the study again to make those that are missing"
    )


def _about(study: spec.Study, facts: dict[str, problems.Facts]) -> dict[str, Any]:
    return {
        "study": study.name,
        "digest": study.digest,
        "version": hwnasbench.__version__,
        "problems": {name: found._asdict() for name, found in facts.items()},
    }


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep libraries to one thread: runs share the cores, and a sum must not depend on how many there are."""
    before = os.environ.get("OMP_NUM_THREADS")
    with ExitStack() as stack:
        # Of those that a searcher will load.
        os.environ["OMP_NUM_THREADS"] = "1"
        stack.callback(_set_or_forget, "OMP_NUM_THREADS", before)
        try:
            from threadpoolctl import threadpool_limits
        except ImportError:
            pass
        else:
            stack.enter_context(threadpool_limits(1))
        torch = sys.modules.get("torch")
        if torch is not None:
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
        yield


def _set_or_forget(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
