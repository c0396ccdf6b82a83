"""Other libraries search the benchmark: each with the real library, on NAS-Bench-201."""

from __future__ import annotations

import importlib
import logging
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

import hwnasbench
from hwnasbench import search, spaces
from hwnasbench.benchmark import Benchmark
from hwnasbench.devices.accelerator_spaces import joint
from hwnasbench.errors import InvalidArchitecture, InvalidRequest, MissingExtra, NoColumn, NotEnumerable
from hwnasbench.integrations import configspace, positions
from hwnasbench.integrations.gymnasium import ID, ArchitectureEnv
from hwnasbench.integrations.optuna import Objective
from hwnasbench.integrations.pymoo import ArchitectureProblem, operators
from hwnasbench.integrations.syne_tune import ELAPSED, ArchitectureBlackbox
from hwnasbench.search import Problem
from hwnasbench.search.objectives import Constrained, Front, Metric
from hwnasbench.spaces.mixed import mixed_precision

import gymnasium  # isort: skip
import optuna  # isort: skip
from ConfigSpace import Integer  # isort: skip

PAGE = (Path(__file__).parent.parent / "docs" / "integrations.md").read_text("utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
#: Milliseconds on pixel3: 43 in 100 architectures keep within it.
LIMIT = {"latency": 10.0}
#: Two architectures keep within it: a search finds nothing for long.
TIGHT = {"latency": 1.45}


@pytest.fixture(scope="module")
def bench() -> Benchmark:
    return hwnasbench.load("nasbench201", data="shipped")


@pytest.fixture(scope="module")
def one(bench: Benchmark) -> Problem:
    return Problem(bench, Constrained(Metric("accuracy"), LIMIT), "pixel3")


@pytest.fixture(scope="module")
def several(bench: Benchmark) -> Problem:
    return Problem(bench, Constrained(Front("accuracy", "latency"), LIMIT), "pixel3")


@pytest.fixture(scope="module")
def tight(bench: Benchmark) -> Problem:
    return Problem(bench, Constrained(Front("accuracy", "latency"), TIGHT), "pixel3")


@pytest.fixture(scope="module")
def uneven() -> Problem:
    """Positions with two, three and four choices, of a space that cannot be enumerated."""
    problem = Problem(hwnasbench.load("mnasnet", data="shipped"), Metric("accuracy"))
    assert len(set(problem.choices)) > 1
    return problem


@pytest.fixture(scope="module")
def ruled() -> Problem:
    """A space with rules beyond the bounds of its decisions."""
    return Problem(hwnasbench.load("nasbench101", data="shipped"), Metric("latency"), "pixel3")


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SYNETUNE_FOLDER", str(tmp_path / "syne-tune"))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    yield
    logging.disable(level)


def everything(problem: Problem) -> np.ndarray:
    return np.array(problem.scores([tuple(row) for row in problem.space.all_vectors().tolist()]))


def assert_good(problem: Problem, vector: tuple[int, ...]) -> None:
    """Hold what sixty draws miss twice in a thousand: one of the best tenth of all."""
    assert problem.scores([vector])[0] >= np.quantile(everything(problem), 0.9)


# -- what all share -----------------------------------------------------------------------------


def test_parameters_spell_an_architecture(one: Problem, uneven: Problem) -> None:
    assert positions.vector(one, {f"p{i}": np.int64(i % 5) for i in range(6)} | {"rate": 0.1}) == (0, 1, 2, 3, 4, 0)
    assert len(positions.names(uneven)) == len(set(positions.names(uneven))) == len(uneven.choices)
    with pytest.raises(InvalidArchitecture, match=r"lacks p3"):
        positions.vector(one, dict.fromkeys(("p0", "p1", "p2", "p4", "p5"), 0))
    for wrong in (5, -1, 1.0, "1", None):
        with pytest.raises(InvalidArchitecture, match=r"p5=.*; expected an integer from 0 to 4"):
            positions.vector(one, {**dict.fromkeys(positions.names(one), 0), "p5": wrong})


@pytest.mark.parametrize("name", ["darts", "pairs", "mixed"])
def test_every_space_is_searched_alike(name: str, bench: Benchmark) -> None:
    """Positions with one choice, pairs of a network and an accelerator, bits of every layer."""
    space = {
        "darts": lambda: spaces.get("darts"),
        "pairs": lambda: joint(bench.space, "systolic"),
        "mixed": lambda: mixed_precision(spaces.get("mobilenetv2")),
    }[name]()
    problem = Problem(hwnasbench.load(space, data="shipped"), Metric("latency"), None if name == "pairs" else "eyeriss")
    listed = positions.names(problem)
    assert listed == sorted(listed)
    table = configspace.configuration_space(problem, seed=0)
    env, blackbox = ArchitectureEnv(problem), ArchitectureBlackbox(problem, seconds=1.0)
    seen = set()
    for drawn in table.sample_configuration(5):
        vector = configspace.vector(problem, drawn)
        score = problem.scores([vector])[0]
        seen.add(score)
        assert tuple(drawn.get_array().astype(int).tolist()) == vector
        assert blackbox(dict(drawn))[0, 0] == score
        assert ArchitectureProblem(problem).evaluate(np.array([vector]), return_as_dictionary=True)["F"] == -score
        assert episode(env, lambda position, _, v=vector: v[position])[2]["score"] == score
        if np.isfinite(score):
            assert Objective(problem)(optuna.trial.FixedTrial(dict(drawn))) == score
        else:
            with pytest.raises(optuna.TrialPruned, match=r"is infeasible"):
                Objective(problem)(optuna.trial.FixedTrial(dict(drawn)))
    assert len(seen) > 1


@pytest.mark.parametrize(
    ("module", "library"),
    [
        ("optuna", "optuna"),
        ("pymoo", "pymoo.core.problem"),
        ("configspace", "ConfigSpace"),
        ("syne_tune", "huggingface_hub"),
        ("syne_tune", "syne_tune.blackbox_repository.blackbox"),
        ("gymnasium", "gymnasium"),
    ],
)
def test_a_missing_library_names_the_extra(module: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for loaded in [name for name in sys.modules if name.startswith("syne_tune.blackbox_repository")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, library, None)
    name = f"hwnasbench.integrations.{module}"
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'hwnasbench\[integrations\]'"):
        importlib.import_module(name)


def test_no_library_sees_test_accuracy(bench: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    real = Benchmark.query_many

    def spied(self: Benchmark, *args: Any, **request: Any) -> Any:
        if "accuracy" in request["metrics"]:
            asked.append(request.get("split"))
        return real(self, *args, **request)

    monkeypatch.setattr(Benchmark, "query_many", spied)
    monkeypatch.setattr(Problem, "report", None)
    problem = Problem(bench, Metric("accuracy"))
    study = optuna.create_study(directions=["maximize"], sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(Objective(problem), n_trials=2)
    ArchitectureProblem(problem).evaluate(np.zeros((2, 6), int))
    blackbox = ArchitectureBlackbox(problem)
    blackbox(dict.fromkeys(positions.names(problem), 1))
    blackbox.hyperparameter_objectives_values()
    env = ArchitectureEnv(problem)
    env.reset()
    for _ in range(6):
        env.step(1)
    assert asked
    assert set(asked) == {"valid"}


# -- Optuna -------------------------------------------------------------------------------------


def test_optuna_searches(one: Problem) -> None:
    def run() -> optuna.Study:
        objective = Objective(one)
        study = optuna.create_study(directions=objective.directions, sampler=optuna.samplers.TPESampler(seed=0))
        study.optimize(objective, n_trials=100)
        return study

    objective, study = Objective(one), run()
    found = one.scores([objective.vector(trial) for trial in study.trials])
    assert [t.value for t in study.trials] == [score if np.isfinite(score) else None for score in found]
    states = {trial.state.name for trial in study.trials}
    assert states == {"COMPLETE", "PRUNED"}
    assert study.best_value == max(found)
    assert_good(one, objective.vector(study.best_trial))
    assert [t.params for t in run().trials] == [t.params for t in study.trials]


@pytest.mark.parametrize("sampler", [optuna.samplers.NSGAIISampler, optuna.samplers.TPESampler])
def test_optuna_searches_for_fronts(sampler: Any, several: Problem, tight: Problem) -> None:
    objective = Objective(several)
    study = optuna.create_study(directions=objective.directions, sampler=sampler(seed=0))
    study.optimize(objective, n_trials=60)
    seen = np.array(several.scores([objective.vector(trial) for trial in study.trials]))
    best = np.array([trial.values for trial in study.best_trials])
    beaten = (seen[:, None] >= best).all(axis=2) & (seen[:, None] > best).any(axis=2)
    assert len(best) > 1
    assert not beaten.any()
    study = optuna.create_study(directions=objective.directions, sampler=sampler(seed=0))
    study.optimize(Objective(tight), n_trials=30)  # nothing is feasible, and nothing raises
    assert {trial.state.name for trial in study.trials} == {"PRUNED"}


def test_optuna_prunes_what_the_rules_of_a_space_forbid(ruled: Problem, uneven: Problem, one: Problem) -> None:
    objective = Objective(ruled)
    study = optuna.create_study(directions=objective.directions, sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(dict.fromkeys(objective.distributions, 0))  # no edge at all
    study.optimize(objective, n_trials=10)
    assert study.trials[0].state.name == "PRUNED"
    other = optuna.create_study(directions=["maximize"], sampler=optuna.samplers.TPESampler(seed=0))
    other.optimize(Objective(uneven), n_trials=12)
    assert {trial.state.name for trial in other.trials} == {"COMPLETE"}
    first = {"p0": Objective(one).distributions["p0"]}
    with pytest.raises(InvalidArchitecture, match=r"lacks p1"):
        Objective(one).vector(optuna.create_trial(value=0.0, params={"p0": 1}, distributions=first))


# -- pymoo --------------------------------------------------------------------------------------


def minimised(problem: Problem, algorithm: Any, generations: int = 20) -> Any:
    from pymoo.optimize import minimize

    return minimize(ArchitectureProblem(problem), algorithm, ("n_gen", generations), seed=0, save_history=True)


def test_pymoo_searches_for_fronts(several: Problem) -> None:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.indicators.hv import HV

    found = minimised(several, NSGA2(pop_size=40, **operators()))
    assert np.issubdtype(found.X.dtype, np.integer)
    assert np.array_equal(-found.F, several.scores([tuple(row) for row in found.X.tolist()]))
    assert (found.F[:, 1] <= LIMIT["latency"]).all()
    volume = HV(ref_point=(0.0, LIMIT["latency"]))
    assert volume(found.F) > volume(found.history[0].opt.get("F"))
    assert all(entry.problem.searched is several for entry in found.history)
    again = minimised(several, NSGA2(pop_size=40, **operators()))
    assert np.array_equal(again.X, found.X)


def test_pymoo_searches_for_one_best(one: Problem, uneven: Problem) -> None:
    from pymoo.algorithms.soo.nonconvex.ga import GA

    found = minimised(one, GA(pop_size=20, **operators()))
    assert_good(one, tuple(found.X.tolist()))
    assert found.F.shape == (1,)
    history = minimised(uneven, GA(pop_size=20, **operators())).history
    first, last = (history[generation].opt.get("F").min() for generation in (0, -1))
    assert last < first


def test_pymoo_copes_with_nothing_feasible(tight: Problem, one: Problem) -> None:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.algorithms.soo.nonconvex.de import DE

    found = minimised(tight, NSGA2(pop_size=20, **operators()), 5)
    assert found.X is None
    assert (found.pop.get("G") == 1).all()
    assert np.isposinf(found.pop.get("F")).all()
    with pytest.raises(InvalidArchitecture, match=r"fractional decisions; expected operators that round"):
        minimised(one, DE(), 2)


# -- ConfigSpace --------------------------------------------------------------------------------


def test_configspace_samples_for_random_search(one: Problem) -> None:
    space = configspace.configuration_space(one, seed=0)
    drawn = [configspace.vector(one, found) for found in space.sample_configuration(100)]
    assert_good(one, max(zip(one.scores(drawn), drawn, strict=True))[1])
    again = configspace.configuration_space(one, seed=0).sample_configuration(100)
    assert [configspace.vector(one, found) for found in again] == drawn
    assert {choice for vector in drawn for choice in vector} == set(range(5))


def test_configspace_converts_both_ways(one: Problem, uneven: Problem) -> None:
    for problem in (one, uneven):
        space = configspace.configuration_space(problem, seed=1)
        for found in space.sample_configuration(50):
            vector = configspace.vector(problem, found)
            assert configspace.configuration(problem, space, vector) == found
            assert problem.space.parse(list(vector)).vector == vector
    space = configspace.configuration_space(one)
    text = one.space.format((4, 1, 0, 1, 3, 3))
    assert configspace.vector(one, configspace.configuration(one, space, text)) == (4, 1, 0, 1, 3, 3)
    with pytest.raises(InvalidArchitecture, match=r"decision 5"):
        configspace.configuration(one, space, (0, 0, 0, 0, 0, 5))


def test_configspace_takes_hyperparameters_beside_the_positions(one: Problem) -> None:
    space = configspace.configuration_space(one, seed=0)
    space.add(Integer("batch", (16, 256), default=64))
    found = space.sample_configuration()
    vector = configspace.vector(one, found)
    back = configspace.configuration(one, space, vector)
    assert configspace.vector(one, back) == vector
    assert back["batch"] == 64


# -- Syne Tune ----------------------------------------------------------------------------------


def tuned(blackbox: ArchitectureBlackbox, scheduler: Any, trials: int) -> list[dict[str, Any]]:
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
    from syne_tune.blackbox_repository import UserBlackboxBackend

    backend = UserBlackboxBackend(blackbox, elapsed_time_attr=ELAPSED)
    stop = StoppingCriterion(max_num_trials_finished=trials)
    settings: dict[str, Any] = {"n_workers": 4, "sleep_time": 0, "save_tuner": False}
    Tuner(backend, scheduler, stop, callbacks=[SimulatorCallback()], **settings).run()
    return [
        {**trial.config, **metrics}
        for trial in backend._trial_dict.values()
        for metrics in getattr(trial, "metrics", [])
    ]


def settings(blackbox: ArchitectureBlackbox) -> dict[str, Any]:
    return {"config_space": blackbox.configuration_space, "do_minimize": False, "random_seed": 0}


def test_syne_tune_searches(one: Problem) -> None:
    from syne_tune.optimizer.baselines import RandomSearch

    blackbox = ArchitectureBlackbox(one)
    rows = tuned(blackbox, RandomSearch(metrics=["score"], **settings(blackbox)), 60)
    for level, epochs in enumerate((12, 200)):
        known = [row for row in rows if row["epochs"] == epochs]
        assert len(known) >= 60
        assert [row["score"] for row in known] == one.scores([blackbox.vector(row) for row in known], level)
    best = max((row for row in rows if row["epochs"] == 200), key=lambda row: row["score"])
    assert_good(one, blackbox.vector(best))


def test_syne_tune_halves_over_the_lengths_of_training(one: Problem) -> None:
    from syne_tune.optimizer.baselines import ASHA

    blackbox = ArchitectureBlackbox(one)
    scheduler = ASHA(
        metric="score", time_attr="epochs", grace_period=12, max_t=200, reduction_factor=4, **settings(blackbox)
    )
    rows = tuned(blackbox, scheduler, 60)
    short, long = ([row for row in rows if row["epochs"] == epochs] for epochs in (12, 200))
    assert 0 < len(long) < len(short) / 2
    promoted = {tuple(blackbox.vector(row)) for row in long}
    rest = [row["score"] for row in short if blackbox.vector(row) not in promoted]
    assert np.median([row["score"] for row in short if blackbox.vector(row) in promoted]) > np.median(rest)


def test_syne_tune_pays_for_both_trainings(bench: Benchmark, one: Problem) -> None:
    blackbox, vector = ArchitectureBlackbox(one), (3, 0, 1, 1, 2, 0)
    configuration = dict(zip(positions.names(one), vector, strict=True))
    table = blackbox(configuration)
    short, long = (one.costs([vector], level)[0] for level in (0, 1))
    assert table[:, 1].tolist() == pytest.approx([short, short + long], rel=1e-12)
    assert table[:, 0].tolist() == [one.scores([vector], level)[0] for level in (0, 1)]
    assert blackbox(configuration, 200) == dict(zip(("score", ELAPSED), table[1].tolist(), strict=True))
    alone = ArchitectureBlackbox(Problem(bench, Metric("accuracy"), epochs=200))
    assert alone.fidelity_values.tolist() == [200]
    assert alone(configuration, {"epochs": 200})[ELAPSED] == pytest.approx(long, rel=1e-12)
    with pytest.raises(InvalidRequest, match=r"epochs=100; expected one of \[12, 200\]"):
        blackbox(configuration, 100)


def test_syne_tune_takes_the_whole_table(one: Problem, several: Problem) -> None:
    from syne_tune.blackbox_repository import add_surrogate

    blackbox = ArchitectureBlackbox(one)
    frame, values = blackbox.hyperparameter_objectives_values()
    feasible = int(np.isfinite(everything(one)).sum())
    assert frame.shape == (2 * feasible, 7)
    assert values.shape == (2 * feasible, 2)
    row = frame.iloc[-1]
    assert blackbox(row.drop("epochs").to_dict(), int(row["epochs"])) == values.iloc[-1].to_dict()
    curves, flat = blackbox.hyperparameter_objectives_values(predict_curves=True)
    assert flat.iloc[7].tolist() == blackbox(curves.iloc[7].to_dict()).ravel().tolist()
    # The nearest architecture of the table is the architecture itself.
    surrogate = add_surrogate(blackbox, predict_curves=True)
    assert surrogate(curves.iloc[7].to_dict()).ravel() == pytest.approx(flat.iloc[7].to_numpy(), rel=1e-9)
    assert ArchitectureBlackbox(several).objectives_names == ["score_0", "score_1", ELAPSED]
    assert np.isfinite(ArchitectureBlackbox(one, infeasible=0.0).hyperparameter_objectives_values()[1]).all(axis=None)
    assert ArchitectureBlackbox(one, infeasible=0.0)(dict.fromkeys(positions.names(one), 3))[1, 0] == 0.0


def test_syne_tune_needs_a_time(uneven: Problem, one: Problem) -> None:
    from syne_tune.optimizer.baselines import REA

    unknown = Problem(hwnasbench.load("fbnet", data="shipped"), Metric("accuracy"), split="test")
    with pytest.raises(NoColumn, match=r"fbnet has no time of training; say what an evaluation lasts: seconds="):
        ArchitectureBlackbox(unknown)
    blackbox = ArchitectureBlackbox(uneven, seconds=60.0)
    assert blackbox.fidelity_values.tolist() == [16]
    rows = tuned(blackbox, REA(metric="score", population_size=5, **settings(blackbox)), 15)
    assert [row["score"] for row in rows] == uneven.scores([blackbox.vector(row) for row in rows])
    with pytest.raises(NotEnumerable, match=r"mnasnet"):
        blackbox.hyperparameter_objectives_values()
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidRequest, match=r"seconds=.*expected more than 0"):
            ArchitectureBlackbox(one, seconds=wrong)
    with pytest.raises(InvalidRequest, match=r"infeasible=nan"):
        ArchitectureBlackbox(one, infeasible=float("nan"))


def test_syne_tune_names_a_fidelity_without_epochs(bench: Benchmark) -> None:
    blackbox = ArchitectureBlackbox(Problem(bench, Metric("latency"), "pixel3"), seconds=1.0)
    assert blackbox.fidelity_name() == "evaluation"
    assert blackbox(dict.fromkeys(positions.names(blackbox.problem), 1), 1)[ELAPSED] == 1.0


# -- Gymnasium ----------------------------------------------------------------------------------


def test_gymnasium_checks_the_environment(one: Problem, uneven: Problem) -> None:
    from gymnasium.utils.env_checker import check_env

    for problem in (one, uneven):
        check_env(gymnasium.make(ID, problem=problem).unwrapped)


def episode(env: Any, policy: Any, seed: int | None = None) -> tuple[tuple[int, ...], float, dict[str, Any]]:
    observation, info = env.reset(seed=seed)
    taken, over, reward = [], False, 0.0
    while not over:
        assert reward == 0
        taken.append(int(policy(len(taken), info["action_mask"])))
        observation, reward, over, cut, info = env.step(taken[-1])
        assert not cut
        assert observation.tolist()[: len(taken)] == [choice + 1 for choice in taken]
        assert not observation[len(taken) :].any()
    return tuple(taken), reward, info


def test_gymnasium_walks_at_random(one: Problem, uneven: Problem) -> None:
    for problem in (one, uneven):
        env = gymnasium.make(ID, problem=problem)
        env.action_space.seed(0)
        taken, worst = set(), np.inf
        for _ in range(100):
            vector, reward, info = episode(env, lambda _, mask, actions=env.action_space: actions.sample(mask))
            score = problem.scores([vector])[0]
            assert (info["vector"], info["score"]) == (vector, score)
            worst = min(worst, score) if np.isfinite(score) else worst
            assert reward == (score if np.isfinite(score) else worst if np.isfinite(worst) else 0.0)
            taken.add(vector)
        assert len(taken) > 50


def test_gymnasium_teaches_a_table(one: Problem) -> None:
    """REINFORCE with a table of logits: later episodes are better than those at first."""
    env, rng = ArchitectureEnv(one, infeasible=0.0), np.random.default_rng(0)
    logits = np.zeros((len(one.choices), env.action_space.n))
    rewards: list[float] = []
    for _ in range(1500):
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        vector, reward, _ = episode(env, lambda position, _, p=shares: rng.choice(len(p[position]), p=p[position]))
        advantage = (reward - np.mean(rewards[-100:])) / 100 if rewards else 0.0
        logits += 0.5 * advantage * (np.eye(env.action_space.n)[list(vector)] - shares)
        rewards.append(reward)
    assert mannwhitneyu(rewards[-200:], rewards[:200], alternative="greater").pvalue < 0.01


def test_gymnasium_ends_at_a_choice_that_is_not_there(uneven: Problem) -> None:
    env = ArchitectureEnv(uneven, infeasible=-5.0)
    _, info = env.reset()
    position = 0
    while info["action_mask"].all():
        _, _, _, _, info = env.step(0)
        position += 1
    n = uneven.choices[position]
    assert info["action_mask"].tolist() == [1] * n + [0] * (env.action_space.n - n)
    _, reward, over, cut, info = env.step(n)
    assert (reward, over, cut, info["score"]) == (-5.0, True, False, -np.inf)
    assert "vector" not in info
    assert info["action_mask"].all()


def test_gymnasium_forgets_the_worst_with_a_seed(one: Problem) -> None:
    env, worst = ArchitectureEnv(one), (3, 3, 3, 3, 3, 3)
    assert one.scores([worst]) == [-np.inf]
    feasible = (3, 0, 1, 1, 2, 0)
    assert episode(env, lambda i, _: worst[i], seed=0)[1] == 0
    score = episode(env, lambda i, _: feasible[i])[1]
    assert episode(env, lambda i, _: worst[i])[1] == score == one.scores([feasible])[0]
    assert episode(env, lambda i, _: worst[i], seed=0)[1] == 0


def test_gymnasium_refuses(one: Problem, several: Problem) -> None:
    with pytest.raises(InvalidRequest, match=r"one reward and the objective has 2; expected an objective that weighs"):
        ArchitectureEnv(several)
    with pytest.raises(InvalidRequest, match=r"infeasible=-inf; expected a finite number"):
        ArchitectureEnv(one, infeasible=-np.inf)
    env = ArchitectureEnv(one)
    with pytest.raises(InvalidRequest, match=r"expected reset\(\) before step\(\)"):
        env.step(0)
    env.reset()
    for wrong in (5, -1, 0.5, None):
        with pytest.raises(InvalidRequest, match=r"action .*; expected an integer from 0 to 4"):
            env.step(wrong)  # type: ignore[arg-type]


# -- the page -----------------------------------------------------------------------------------


def test_the_examples_of_the_page_run() -> None:
    assert len(CODE) == 6
    names: dict[str, Any] = {}
    for code in CODE:
        exec(compile(code, "docs/integrations.md", "exec"), names)
    problem = names["problem"]
    assert isinstance(problem, search.Problem)
    assert_good(problem, names["best"])
    assert_good(problem, names["vector"])
    assert np.isfinite(problem.scores([names["learned"]])[0])
    assert len(names["found"].X) > 1
