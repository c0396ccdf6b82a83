"""Studies: what their files may say, runs that resume and repeat themselves to the byte, failures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from hwnasbench import studies
from hwnasbench.errors import CorruptFile, InvalidRequest, StudyIncomplete
from hwnasbench.studies import problems, runner, spec, trajectories

HERE = Path(__file__).parent
SMALL = HERE / "studies" / "small.toml"
#: The command as its entry point makes it, also where the package was installed before there was one.
COMMAND = (
    "from hwnasbench import cli\nfrom hwnasbench.studies.command import study\n"
    "cli.app = lambda: study\nif __name__ == '__main__': cli.main()\n"
)


def given(**more):
    """Return a study of one problem and one searcher, as a file holds it."""
    table = {
        "name": "one",
        "seeds": 4,
        "chunk": 2,
        "budget": {"queries": 30},
        "problems": [{"name": "plain", "space": "nasbench201"}],
        "searchers": [{"name": "random"}],
    }
    return table | more


def of(space="nasbench201", **more):
    """Return what a study says of one problem."""
    return {"problems": [{"space": space} | more]}


def run(out, jobs=1, **more):
    return studies.run(spec.parse(given(**more)), out, jobs=jobs)


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def command(tmp_path):
    """Return a way to start ``hwnasbench study``."""
    script = tmp_path / "study_command.py"
    script.write_text(COMMAND)

    def start(*words, **more):
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]), **more}
        return subprocess.Popen(
            [sys.executable, script, *map(str, words)],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def finish(process):
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def toml(path, **more):
    """Write a study's file of one problem, whose searchers are given."""
    table = given(**more)
    lines = [f"name = {table['name']!r}", f"seeds = {table['seeds']}", f"chunk = {table['chunk']}"]
    lines += [f"budget = {{ queries = {table['budget']['queries']} }}", "[[problems]]", "space = 'nasbench201'"]
    for searcher in table["searchers"]:
        settings = ", ".join(f"{k} = {v}" for k, v in searcher.get("settings", {}).items())
        lines += ["[[searchers]]", f"name = {searcher['name']!r}", f"settings = {{ {settings} }}"]
    path.write_text("\n".join(lines) + "\n")
    return path


# -- files --------------------------------------------------------------------------------------


def test_a_file_is_read_with_its_defaults():
    study = studies.read(SMALL)
    assert study.seeds == tuple(range(6))
    assert [problem.name for problem in study.problems] == ["capped", "front"]
    assert [searcher.label for searcher in study.searchers] == ["random", "random_again"]
    assert study.problems[0].data == "shipped"
    assert study.problems[0].split == "valid"


def test_the_file_in_the_docs_is_one():
    block = (HERE.parent / "docs" / "search.md").read_text("utf-8").split("```toml\n")[1].split("```")[0]
    study = spec.parse(tomllib.loads(block))
    assert [problem.device for problem in study.problems] == ["pixel3", "raspi4"]
    for problem in study.problems:
        problems.make(problem)


def test_several_devices_are_as_many_problems():
    study = spec.parse(given(problems=[{"space": "nasbench201", "devices": ["pixel3", "raspi4"]}]))
    assert [(p.name, p.device) for p in study.problems] == [
        ("nasbench201-pixel3", "pixel3"),
        ("nasbench201-raspi4", "raspi4"),
    ]


def test_the_digest_is_that_of_what_is_said(tmp_path):
    again = tmp_path / "again.toml"
    again.write_text("# a remark\n" + SMALL.read_text().replace("seeds = 6", "seeds = [0, 1, 2, 3, 4, 5]"))
    assert studies.read(again).digest == studies.read(SMALL).digest
    again.write_text(SMALL.read_text().replace("seeds = 6", "seeds = 7"))
    assert studies.read(again).digest != studies.read(SMALL).digest


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"serchers": []}, ["serchers", "'searchers'"]),
        (of(devise="pixel3"), ["problems[0].devise", "'device'"]),
        (of("nasbench102"), ["problems[0].space", "'nasbench101'"]),
        (of({"base": "fbnet", "acelerators": "eyeriss"}), ["problems[0].space.acelerators", "'accelerators'"]),
        (of({"base": "fbnet", "accelerators": "eyeris"}), ["problems[0].space", "'eyeriss'"]),
        (of(data="shiped"), ["problems[0].data", "'shipped'"]),
        (of(split="val"), ["problems[0].split", "'valid'"]),
        (of(request={"datset": "cifar10"}), ["problems[0].request", "'dataset'"]),
        ({"problems": [{"space": "nasbench201"}, {"space": "nasbench201"}]}, ["problems", "stands twice", "name"]),
        (of(devices="pixel3"), ["problems[0].devices", "pixel3", "list"]),
        ({"problems": []}, ["problems"]),
        ({"searchers": [{"name": "randm"}]}, ["searchers[0]", "'random'"]),
        ({"searchers": [{"name": "random", "setings": {}}]}, ["searchers[0].setings", "'settings'"]),
        ({"searchers": [{"name": "random", "label": "a/b"}]}, ["searchers[0].label", "a/b"]),
        ({"searchers": [{"name": "own_searchers:Fails", "settings": {"onn": 1}}]}, ["searchers[0]", "'onn'", "'on'"]),
        ({"searchers": [{"name": "dnas", "settings": {"stepz": 3}}]}, ["searchers[0]", "'stepz'", "'steps'"]),
        ({"searchers": [{"name": "own_searchers:Nobody"}]}, ["searchers[0]", "Nobody", "MODULE:CLASS"]),
        ({"searchers": [{"name": "random"}, {"name": "random"}]}, ["searchers", "stands twice", "label"]),
        ({"budget": {"queries": 0}}, ["budget", "queries=0", "more than 0"]),
        ({"budget": {"seconds": 0.0}}, ["budget", "seconds=0.0"]),
        ({"budget": {}}, ["budget", "queries or seconds"]),
        ({"budget": {"query": 5}}, ["budget.query", "'queries'"]),
        ({"seeds": 0}, ["seeds", "1 or more"]),
        ({"seeds": [1, 1]}, ["seeds", "stands twice"]),
        ({"seeds": True}, ["seeds", "1 or more"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_typo_names_its_place_and_what_is_near(change, expected):
    with pytest.raises(InvalidRequest) as refused:
        spec.parse(given(**change), "my.toml")
    text = str(refused.value)
    assert text.startswith("my.toml: ")
    assert "\n" not in text
    for part in expected:
        assert part in text


@pytest.mark.parametrize("missing", ["name", "problems", "searchers", "budget", "seeds"])
def test_what_is_missing_is_named(missing):
    table = given()
    del table[missing]
    with pytest.raises(InvalidRequest, match=missing):
        spec.parse(table)


def test_files_that_are_none(tmp_path):
    with pytest.raises(InvalidRequest, match=r"nowhere\.toml cannot be read"):
        studies.read(tmp_path / "nowhere.toml")
    bad = tmp_path / "bad.toml"
    bad.write_text("name = \n")
    with pytest.raises(InvalidRequest, match="line 1"):
        studies.read(bad)


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        ({"space": "nasbench201", "device": "pixle3", "limits": {"latency": 5}}, ["problems[0]", "'pixel3'"]),
        ({"space": "nasbench201", "device": "pixel3", "limits": {"latncy": 5}}, ["problems[0]", "'latency'"]),
        ({"space": "nasbench201", "device": "pixel3", "limits": {"latency": 1e-9}}, ["problems[0]", "feasible"]),
        ({"space": "nasbench201", "objective": {"name": "metrc"}}, ["problems[0]", "'metric'"]),
        ({"space": "nasbench201", "objective": {"name": "mnasnet", "tarjet": 5.0}}, ["problems[0]", "'target'"]),
        ({"space": "nasbench201", "request": {"dataset": "cifar11"}}, ["problems[0]", "'cifar10'"]),
        ({"space": "fbnet", "device": "pixel3"}, ["problems[0]", "split='test'"]),
    ],
    ids=str,
)
def test_a_problem_that_cannot_be_is_refused_before_anything_runs(tmp_path, problem, expected):
    with pytest.raises(InvalidRequest) as refused:
        run(tmp_path, problems=[problem])
    for part in expected:
        assert part in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_budget_in_seconds_needs_times_of_training(tmp_path):
    problem = {"space": "fbnet", "device": "pixel3", "split": "test"}
    with pytest.raises(InvalidRequest, match="budget in queries"):
        run(tmp_path, problems=[problem], budget={"seconds": 1e5})


# -- runs ---------------------------------------------------------------------------------------


def test_the_trajectories_say_what_was_seen_and_what_is_reported(tmp_path):
    study = studies.read(SMALL)
    table = studies.run(study, tmp_path)
    frame = pq.read_table(table).to_pandas()
    assert len(frame) == 2 * 2 * 6 * 60
    for given_problem in study.problems:
        problem = problems.make(given_problem)
        rows = frame[(frame["problem"] == given_problem.name) & (frame["seed"] == 3) & (frame["searcher"] == "random")]
        assert rows["evaluation"].tolist() == list(range(1, 61))
        vectors = [tuple(problem.space.parse(arch).vector) for arch in rows["arch"]]
        seen = np.array(problem.scores(vectors)).reshape(60, -1)
        columns = ["score"] if seen.shape[1] == 1 else ["score", "score_2"]
        np.testing.assert_array_equal(rows[columns].to_numpy(), seen)
    capped = frame[(frame["problem"] == "capped") & (frame["searcher"] == "random") & (frame["seed"] == 3)]
    best = capped["score"].cummax()
    some = capped["incumbent"].notna()
    assert (capped["score"].to_numpy()[capped["incumbent"][some].to_numpy(int) - 1] == best[some]).all()
    assert (best[~some] == -np.inf).all()
    problem = problems.make(study.problems[0])
    said = problem.report([capped["arch"].iloc[int(capped["incumbent"].iloc[-1]) - 1]])
    assert capped["report_score"].iloc[-1] == said["score"][0]
    assert capped["report_latency"].iloc[-1] == said["latency"][0] <= 10.0
    assert capped["report_accuracy"].iloc[-1] == said["accuracy"][0] != best.iloc[-1]
    front = frame[frame["problem"] == "front"]
    assert front["incumbent"].isna().all()
    assert (front.groupby(["searcher", "seed"], observed=True)["report_score"].diff().dropna() >= -1e-12).mean() > 0.9
    about = trajectories.about(table)
    assert about["digest"] == study.digest
    assert about["problems"]["capped"]["fingerprint"] == problem.bench.fingerprint
    assert about["problems"]["capped"]["best"] == problem.best[0]


def test_a_run_follows_from_its_place_and_its_number_alone(tmp_path):
    few = pq.read_table(run(tmp_path / "few", seeds=[7, 2])).to_pandas()
    many = pq.read_table(run(tmp_path / "many", seeds=8, searchers=[{"name": "random"}, {"name": "random", "label": "b"}])).to_pandas()  # fmt: skip  # noqa: E501
    for seed in (2, 7):
        one = few[few["seed"] == seed]["arch"].astype(str).tolist()
        other = many[(many["seed"] == seed) & (many["searcher"] == "random")]["arch"].astype(str).tolist()
        assert one == other
    first = [
        many[(many["seed"] == 0) & (many["searcher"] == name)]["arch"].astype(str).tolist() for name in ("random", "b")
    ]
    assert first[0] != first[1]
    study = spec.parse(given())
    seeds = {runner.seed_of(study, p, s, n) for p in range(3) for s in range(3) for n in range(20)}
    assert len(seeds) == 180
    assert runner.seed_of(study, 0, 0, 0) == int(np.random.SeedSequence(0).spawn(1)[0].spawn(1)[0].spawn(1)[0].generate_state(1)[0]) >> 1  # fmt: skip  # noqa: E501


def test_what_is_finished_is_not_run_again(tmp_path):
    run(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("runs/**/*.parquet")}
    told = []
    studies.run(spec.parse(given()), tmp_path, say=told.append)
    assert told == []
    more = [{"name": "random"}, {"name": "random", "label": "more"}]
    studies.run(spec.parse(given(searchers=more)), tmp_path, say=told.append)
    assert all("more" in text for text in told)
    assert len(told) == 2
    assert {path: path.stat().st_mtime_ns for path in before} == before
    studies.run(spec.parse(given(budget={"queries": 31})), tmp_path)
    assert all(path.stat().st_mtime_ns != then for path, then in before.items())


def test_a_folder_holds_one_study(tmp_path):
    run(tmp_path)
    with pytest.raises(InvalidRequest, match="holds the study 'one', not 'two'"):
        run(tmp_path, name="two")
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(CorruptFile, match=r"study\.json"):
        run(tmp_path)


def test_a_damaged_file_of_runs_is_named(tmp_path):
    run(tmp_path)
    file = sorted(tmp_path.rglob("runs/**/*.parquet"))[0]
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CorruptFile, match=file.name):
        run(tmp_path)


@pytest.mark.parametrize("jobs", [0, -1, True, 1.5])
def test_no_jobs_no_runs(tmp_path, jobs):
    with pytest.raises(InvalidRequest, match="jobs"):
        run(tmp_path, jobs=jobs)


def test_runs_do_not_depend_on_what_was_searched_before(tmp_path):
    """The last digits of predicted numbers may depend on what is evaluated together."""
    problem = {"name": "mixed", "space": "mnasnet"}
    alone = pq.read_table(run(tmp_path / "a", problems=[problem], seeds=[3])).to_pandas()
    after = pq.read_table(run(tmp_path / "b", problems=[problem], seeds=4)).to_pandas()
    after = after[after["seed"] == 3].reset_index(drop=True)
    assert (alone["score"] == after["score"]).all()
    assert (alone["report_score"] == after["report_score"]).all()


@pytest.mark.parametrize(
    "problem",
    [
        {"space": {"base": "nasbench201", "accelerators": "eyeriss"}, "limits": {"latency": 5.0}},
        {"space": {"base": "nasbench201", "weights": [4, 8], "activations": [8]}, "device": "eyeriss"},
        {
            "space": {"base": "nasbench201", "accelerators": "eyeriss"},
            "objective": {"name": "front", "metrics": ["accuracy", "latency"]},
        },
    ],
    ids=["joint", "mixed", "front"],
)
def test_spaces_made_of_others(tmp_path, problem):
    table = run(tmp_path, problems=[{"name": "made"} | problem], seeds=2, budget={"queries": 12})
    frame = pq.read_table(table).to_pandas()
    assert len(frame) == 24
    assert np.isfinite(frame["report_score"]).any()
    assert trajectories.about(table)["problems"]["made"]["best"] is None


def test_a_budget_in_simulated_seconds_ends_every_run(tmp_path):
    table = run(tmp_path, budget={"seconds": 200_000.0}, problems=[{"name": "plain", "space": "nasbench201"}])
    frame = pq.read_table(table).to_pandas()
    ends = frame.groupby("seed")["seconds"].max()
    assert ((ends > 100_000) & (ends <= 200_000)).all()
    assert (frame.groupby("seed")["seconds"].diff().dropna() > 0).all()
    curves = (studies.report(tmp_path).parent / "statistics" / "curves.csv").read_text()
    assert curves.startswith("problem,searcher,measure,seconds,")


# -- byte identity, killed runs, clusters --------------------------------------------------------


@pytest.mark.slow
def test_processes_and_a_cluster_give_the_same_bytes(tmp_path, command):
    pytest.importorskip("distributed")
    here, there, far = (tmp_path / name for name in ("here", "there", "far"))
    studies.run(studies.read(SMALL), here)
    studies.report(here)
    process = command("run", SMALL, "--jobs", 2, "--out", there)
    code, out, err = finish(process)
    assert code == 0, err
    assert "24/24 runs" in out
    assert contents(there) == contents(here)
    script = tmp_path / "cluster.py"
    script.write_text(
        "import sys\nfrom distributed import LocalCluster\nif __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:\n"
        "        print(cluster.scheduler_address, flush=True)\n        sys.stdin.read()\n"
    )
    cluster = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        code, out, err = finish(command("run", SMALL, "--scheduler", address, "--out", far))
        assert code == 0, err
    finally:
        cluster.communicate("", timeout=60)
    assert contents(far) == contents(here)


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bytes(tmp_path, command):
    searchers = [{"name": "own_searchers:Slow"}]
    file = toml(tmp_path / "slow.toml", searchers=searchers, seeds=30, chunk=2)
    out = tmp_path / "out"
    process = command("run", file, "--jobs", 1, "--out", out)
    deadline = time.monotonic() + 120
    while len(list(out.rglob("runs/**/*.parquet"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    finish(process)
    kept = {path: path.read_bytes() for path in out.rglob("runs/**/*.parquet")}
    assert 3 <= len(kept) < 15
    assert not (out / "trajectories.parquet").exists()
    times = {path: path.stat().st_mtime_ns for path in kept}
    code, said, err = finish(command("run", file, "--jobs", 1, "--out", out, MENDED="1"))
    assert code == 0, err
    assert f"{30 - 2 * len(kept)}/{30 - 2 * len(kept)} runs" in said
    assert {path: path.stat().st_mtime_ns for path in kept} == times
    whole = tmp_path / "whole"
    code, _, err = finish(command("run", file, "--jobs", 1, "--out", whole, MENDED="1"))
    assert code == 0, err
    assert contents(out) == contents(whole)


# -- failures -----------------------------------------------------------------------------------


def failing(kind, number, seeds):
    """Return searchers of a study, one of which raises in one run."""
    study = spec.parse(given(seeds=seeds))
    seed = runner.seed_of(study, 0, 1, number)
    return [{"name": "random"}, {"name": f"own_searchers:{kind}", "settings": {"on": seed}}]


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_searcher_that_raises_in_seed_37_loses_no_other_run(tmp_path, monkeypatch, jobs):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parent)]))
    searchers = failing("Fails", 37, 40)
    out = tmp_path / "out"
    more = {"seeds": 40, "chunk": 5, "searchers": searchers, "jobs": jobs}
    with pytest.raises(StudyIncomplete) as failed:
        run(out, **more)
    text = str(failed.value)
    assert "1 of 80 runs of one failed" in text
    assert "Fails on plain with seed 37: ZeroDivisionError: nothing left to divide" in text
    (failure,) = json.loads((out / "failures.json").read_text())
    assert failure["seed"] == 37
    assert "own_searchers.py" in failure["traceback"]
    assert "ZeroDivisionError: nothing left to divide" in failure["traceback"]
    kept = {n for path in out.rglob("runs/plain/Fails/*.parquet") for n in trajectories.about(path)["seeds"]}
    assert kept == set(range(40)) - {37}
    assert not (out / "trajectories.parquet").exists()
    monkeypatch.setenv("MENDED", "1")
    told = []
    studies.run(spec.parse(given(**{k: v for k, v in more.items() if k != "jobs"})), out, say=told.append)
    assert told == ["1/1 runs: plain, Fails"]
    assert not (out / "failures.json").exists()
    run(tmp_path / "whole", **more | {"jobs": 1})
    assert (out / "trajectories.parquet").read_bytes() == (tmp_path / "whole" / "trajectories.parquet").read_bytes()


@pytest.mark.slow
def test_a_worker_that_dies_is_a_failure_and_not_the_end(tmp_path, monkeypatch, command):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parent)]))
    searchers = failing("Dies", 3, 4)
    file = toml(tmp_path / "dies.toml", searchers=searchers)
    code, _, err = finish(command("run", file, "--jobs", 2, "--out", tmp_path / "out"))
    assert code == 1
    assert "StudyIncomplete" in err
    assert "Traceback" not in err
    assert "process" in err
    code, said, err = finish(command("run", file, "--jobs", 2, "--out", tmp_path / "out", MENDED="1"))
    assert code == 0, err
    assert "report.html" in said


# -- the command --------------------------------------------------------------------------------


def test_the_command_is_registered():
    with (HERE.parent / "pyproject.toml").open("rb") as file:
        points = tomllib.load(file)["project"]["entry-points"]["hwnasbench.commands"]
    assert points["study"] == "hwnasbench.studies.command:study"


def test_a_subcommand_may_have_subcommands(monkeypatch):
    from typer.testing import CliRunner

    from hwnasbench import cli

    class Point:
        name = "study"

        @staticmethod
        def load():
            from hwnasbench.studies.command import study

            return study

    monkeypatch.setattr(cli, "entry_points", lambda group: [Point])
    told = CliRunner().invoke(cli.app(), ["study", "run", "--help"])
    assert told.exit_code == 0
    for option in ("--jobs", "--scheduler", "--out"):
        assert option in told.output


def test_bad_words_are_one_line(tmp_path, command):
    file = tmp_path / "typo.toml"
    file.write_text(SMALL.read_text().replace('name = "random"\nlabel', 'name = "radnom"\nlabel'))
    code, _, err = finish(command("run", file, "--out", tmp_path / "out"))
    assert code == 1
    assert err.count("\n") == 1
    assert "typo.toml: searchers[1]: unknown searcher 'radnom'; did you mean 'random'?" in err


def test_jobs_or_a_scheduler():
    from hwnasbench.studies import command

    with pytest.raises(InvalidRequest, match="exclude"):
        command.run(SMALL, jobs=2, scheduler="tcp://127.0.0.1:1")


def test_a_folder_without_a_study_has_no_report(tmp_path):
    with pytest.raises(InvalidRequest, match="holds no study"):
        studies.report(tmp_path)
    run(tmp_path)
    study = json.loads((tmp_path / "study.json").read_text())
    (tmp_path / "study.json").write_text(json.dumps(study | {"title": "Another"}))
    with pytest.raises(InvalidRequest, match="another version"):
        studies.report(tmp_path)
    (tmp_path / "trajectories.parquet").unlink()
    with pytest.raises(InvalidRequest, match="no finished study"):
        studies.report(tmp_path)


def test_runs_made_by_other_code_are_run_again(monkeypatch, tmp_path):
    """Of all searches' code, of one's own searcher and its parents, and of an objective's function."""
    (tmp_path / "own_objective.py").write_text("def double(found):\n    return 2 * found.accuracy\n")
    (tmp_path / "own_parent.py").write_text(
        "from own_searchers import Fails\n\n\nclass Mine(Fails):\n    name = 'mine'\n"
    )
    (tmp_path / "own_child.py").write_text("from own_parent import Mine\n\n\nclass Child(Mine):\n    name = 'child'\n")
    monkeypatch.syspath_prepend(tmp_path)
    objective = {"name": "function", "function": "own_objective:double", "metrics": ["accuracy"]}
    table = given(problems=[{"space": "nasbench201", "objective": objective}], searchers=[{"name": "own_child:Child"}])
    study = spec.parse(table, "my.toml")
    problems.make(study.problems[0])

    def digest():
        return runner._source(study.problems[0], study.searchers[0])

    seen = {digest()}
    assert digest() in seen
    for name in ("own_objective.py", "own_parent.py", "own_child.py"):
        with (tmp_path / name).open("a") as file:
            file.write("# changed\n")
        assert digest() not in seen
        seen.add(digest())
