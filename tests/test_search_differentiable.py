"""Differentiable search: losses, relaxations, surrogates of scores, and what the searchers find."""

from __future__ import annotations

import math

import numpy as np
import pytest
from own_searchers import Within
from scipy.stats import wilcoxon

import hwnasbench
from hwnasbench import search
from hwnasbench.errors import InvalidRequest, UnknownName
from hwnasbench.search import Problem
from hwnasbench.search.choice_costs import choice_costs, read
from hwnasbench.search.objectives import Constrained, Metric, MnasNet
from hwnasbench.search.objectives.differentiable import (
    LossOverTarget,
    LossPlusCost,
    LossPlusLogCost,
    LossTimesLogCost,
    make,
)
from hwnasbench.search.score_surrogate import AdditiveSurrogate, MlpSurrogate

torch = pytest.importorskip("torch")

NAMES = ("darts", "dnas", "proxyless", "single_path")


def problem_of(space="fbnet", limit=16.0, objective=None, **keys):
    keys = {"split": "test", **keys} if space == "fbnet" else keys
    objective = Metric() if objective is None else objective
    return Problem(
        hwnasbench.load(space, data="shipped"),
        objective if limit is None else Constrained(objective, {"latency": limit}),
        "pixel3",
        **keys,
    )


@pytest.fixture(scope="module")
def fbnet():
    return problem_of()


@pytest.fixture(scope="module")
def cells():
    return problem_of("nasbench201", 15.0)


def searcher_of(name, problem, seed=0, **settings):
    return search.get(name)(problem, seed, **settings)


def told(searcher, rounds=1):
    """Let a searcher evaluate its random architectures, and then some rounds."""
    for _ in range(1 + rounds):
        asked = searcher.ask(100)
        searcher.tell(asked, searcher.problem.scores(asked))
    return searcher


# -- losses -----------------------------------------------------------------------------------

TASK, COST = 0.3, 12.0


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (LossPlusCost(weight=0.1), 0.3 + 0.1 * (12 - 10) / 10),
        (LossPlusLogCost(weight=0.1), 0.3 + 0.1 * math.log(1.2)),
        (LossTimesLogCost(alpha=0.2, beta=0.6), 0.3 * 0.2 * math.log(12_000) ** 0.6),
        (LossOverTarget(weight=15, steepness=500), 0.3 + 15 * math.log(1 + 500 * 0.2)),
    ],
)
def test_losses_are_their_formulas(loss, expected):
    task, cost = torch.tensor([TASK]), torch.tensor([COST], requires_grad=True)
    found = loss(task, cost, 10.0)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    found.sum().backward()
    assert cost.grad.item() > 0
    assert loss.paper


def test_over_the_target_alone_a_loss_is_active():
    loss, task = LossOverTarget(), torch.tensor([TASK])
    assert loss(task, torch.tensor([9.9]), 10.0).item() == task.item()
    assert loss(task, torch.tensor([10.1]), 10.0).item() > task.item()


def test_a_cost_below_one_thousandth_has_a_loss():
    assert math.isfinite(LossTimesLogCost()(torch.tensor([TASK]), torch.tensor([1e-5]), 1.0).item())


@pytest.mark.parametrize("kind", [LossPlusCost, LossPlusLogCost, LossTimesLogCost, LossOverTarget])
def test_losses_refuse_what_they_cannot_be(kind):
    with pytest.raises(UnknownName, match="did you mean 'latency'"):
        kind("latncy")
    with pytest.raises(InvalidRequest, match="more of it is better"):
        kind("accuracy")
    with pytest.raises(InvalidRequest, match="target=0; expected a number above 0"):
        kind(target=0)


def test_losses_by_name_or_by_record():
    assert isinstance(make("plus_cost"), LossPlusCost)
    assert make({"name": "plus_cost", "weight": 0.5}).weight == 0.5
    loss = LossOverTarget()
    assert make(loss) is loss
    with pytest.raises(UnknownName, match="plus_cost"):
        make("plus_costs")
    with pytest.raises(UnknownName, match="setting of plus_cost"):
        make({"name": "plus_cost", "wieght": 0.5})
    with pytest.raises(InvalidRequest, match="expected a DifferentiableLoss"):
        make({"weight": 0.5})


# -- surrogates -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [AdditiveSurrogate, MlpSurrogate])
def test_surrogates_rank_what_they_were_not_told(kind):
    from scipy.stats import spearmanr

    rng, choices = np.random.default_rng(0), (4, 2, 3, 1, 5)
    truth = [rng.normal(size=n) for n in choices]
    vectors = rng.integers(0, choices, size=(110, len(choices))).astype(np.int8)
    scores = sum(gain[vectors[:, p]] for p, gain in enumerate(truth))
    surrogate = kind(choices, torch, torch.Generator().manual_seed(0))
    surrogate.fit(vectors[:60], scores[:60])
    features = torch.nn.functional.one_hot(torch.from_numpy(vectors[60:].astype(np.int64)), 5).float()
    assert spearmanr(surrogate(features).detach().numpy(), scores[60:])[0] > 0.9


# -- relaxations ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("space", ["nasbench201", "mnasnet"])
def test_weights_of_choices_sum_to_one_and_are_none_beyond_a_positions_choices(name, space):
    problem = problem_of(space, None)
    searcher = searcher_of(name, problem)
    for weights in (searcher._relax(), searcher._probabilities()[None]):
        assert weights.shape[1:] == (len(problem.choices), max(problem.choices))
        torch.testing.assert_close(weights.sum(dim=2), torch.ones(weights.shape[:2]))
        assert (weights.detach() >= -1e-6).all()
        for position, n in enumerate(problem.choices):
            assert (weights[:, position, n:] == 0).all()
    likeliest = searcher._probabilities().argmax(dim=1).tolist()
    if name != "single_path":  # whose thresholds reach beyond the likeliest
        assert searcher._derive() == likeliest


@pytest.mark.parametrize("name", ["dnas", "single_path"])
def test_a_search_starts_with_equal_chances(name, fbnet):
    torch.testing.assert_close(searcher_of(name, fbnet)._probabilities(), torch.full((22, 9), 1 / 9))


def test_gumbel_samples_choose_by_their_probabilities_and_harden_as_it_grows_cold(fbnet):
    searcher = searcher_of("dnas", fbnet, samples=4000)
    with torch.no_grad():
        searcher.theta += torch.linspace(-1, 1, 9)
    hot = searcher._relax().detach()
    searcher._rounds = 100
    cold = searcher._relax().detach()
    assert hot.max(dim=2).values.mean() < 0.4
    assert cold.max(dim=2).values.mean() > 0.9
    chosen = torch.nn.functional.one_hot(cold.argmax(dim=2), 9).float().mean(dim=(0, 1))
    # 22 x 4000 draws: four standard errors are below 0.01.
    torch.testing.assert_close(chosen, searcher._probabilities()[0], atol=0.01, rtol=0)


def test_gates_open_one_path_and_the_others_keep_their_probability(fbnet):
    searcher = told(searcher_of("proxyless", fbnet, samples=1), rounds=1)
    gates, paths, two = searcher._gate()
    assert set(gates.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(two.sum(dim=2), torch.ones(1, 22))
    assert (paths[..., 0] != paths[..., 1]).all()
    assert (gates.gather(2, paths).sum(dim=2) == 1).all()
    before = searcher._probabilities()
    searcher._step()
    moved = (searcher._probabilities() - before).abs() > 1e-6
    assert moved.any()
    assert (moved.sum(dim=1) <= 2).all()


def test_gradients_of_gates_are_those_of_the_two_paths(fbnet):
    """Of a loss that is linear in the gates, over paths a and b, the slope of p_a g_a + p_b g_b in alpha_a, alpha_b."""
    searcher = searcher_of("proxyless", fbnet, samples=1, learning_rate=1e-9)
    slope = torch.randn(22, 9, generator=torch.Generator().manual_seed(1))
    searcher._lose = lambda gates: (gates * slope).sum() / len(gates)
    state = searcher.generator.get_state()
    _, paths, _ = searcher._gate()
    searcher.generator.set_state(state)
    searcher._step()
    alpha = searcher.alpha.detach().clone().requires_grad_(True)
    two = alpha.gather(1, paths[0]).softmax(dim=1)
    (two * slope.gather(1, paths[0])).sum().backward()
    torch.testing.assert_close(searcher.alpha.grad, alpha.grad, atol=1e-6, rtol=1e-4)


def test_thresholds_nest_choices_from_the_cheapest(fbnet):
    searcher = searcher_of("single_path", fbnet)
    costs = searcher.limits.limits[0].table.costs
    cheapest, dearest = ([int(f(c)) for c in costs] for f in (np.argmin, np.argmax))
    with torch.no_grad():
        searcher.theta.fill_(-1.0)
    assert searcher._derive() == cheapest
    with torch.no_grad():
        searcher.theta.fill_(1.0)
    assert searcher._derive() == dearest
    with torch.no_grad():
        searcher.theta[:, 2] = -1.0  # stops before the fourth, whatever comes after
    assert searcher._derive() == [int(np.argsort(c, kind="stable")[2]) for c in costs]


def test_indicators_are_hard_forward_and_sigmoids_backward(fbnet):
    searcher = searcher_of("single_path", fbnet, samples=6000)
    weights = searcher._relax()
    assert (((weights - weights.round()).abs()) < 1e-5).all()
    slope = torch.randn(22, 9, generator=torch.Generator().manual_seed(1))
    (weights * slope).sum(dim=(1, 2)).mean().backward()
    drawn = searcher.theta.grad.clone()
    searcher.theta.grad = None
    (searcher._nest(searcher._reach()) * slope).sum().backward()
    # Draws give the slope of the expected loss: six thousand of them come within 0.05 of it.
    torch.testing.assert_close(drawn, searcher.theta.grad, atol=0.05, rtol=0)


# -- the searches -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_nothing_beyond_the_limit_is_asked_for(name, cells):
    """Though the table of latencies, which is fitted, is wrong by a tenth and more."""
    run = search.run(name, cells, queries=60, seed=1)
    assert np.isfinite(run.scores).all()
    assert len({tuple(v) for v in run.vectors.tolist()}) == 60


@pytest.mark.parametrize("name", NAMES)
def test_the_derived_architecture_comes_near_the_limit_and_is_better_than_what_was_drawn(name, fbnet):
    searcher = told(searcher_of(name, fbnet, surrogate="additive", warmup=200), rounds=7)
    derived = searcher._derive()
    assert 0.8 * 16 < read(fbnet, "latency", [derived])[0] < 1.1 * 16
    drawn = list(searcher.told.values())[:200]
    accuracy = fbnet.values(np.array([derived]))["accuracy"][0]
    assert accuracy > max(drawn)


@pytest.mark.parametrize("name", NAMES)
def test_a_heavier_weight_of_latency_leads_to_faster_networks(name):
    problem = problem_of(limit=None)
    latencies = []
    for weight in (0.001, 10.0):
        searcher = told(searcher_of(name, problem, loss=LossPlusCost(weight=weight)), rounds=4)
        latencies.append(read(problem, "latency", [searcher._derive()])[0])
    assert latencies[1] < 0.8 * latencies[0]


@pytest.mark.parametrize("loss", ["plus_cost", "plus_log_cost", "times_log_cost", "over_target"])
def test_every_loss_searches(loss, fbnet):
    run = search.run("darts", fbnet, queries=40, seed=0, loss=loss)
    assert np.isfinite(run.scores).all()


@pytest.mark.parametrize("name", NAMES)
def test_choices_without_a_cost_are_not_taken_for_free(name):
    """Two positions of MobileNetV2 have one choice each that was measured."""
    problem = Problem(hwnasbench.load("mobilenetv2", data="shipped"), Metric("params"), "epyc_zen4")
    searcher = told(searcher_of(name, problem, loss=LossPlusCost(weight=10.0)), rounds=2)
    assert sum(not known.all() for known in choice_costs(problem, "latency").known()) == 2
    assert np.isfinite(read(problem, "latency", [searcher._derive()])[0])


def test_the_target_of_a_loss_is_the_objective_s_limit_or_the_mean():
    def target(limits, loss="plus_cost"):
        bench = hwnasbench.load("fbnet", data="shipped")
        problem = Problem(bench, Constrained(Metric(), limits), "pixel2", split="test")
        return searcher_of("darts", problem, loss=loss)._target

    assert target({"latency": 30.0}) == target({"latency@pixel2": 30.0}) == 30.0
    assert target({"latency": 30.0}, {"name": "plus_cost", "target": 20}) == 20.0
    problem = problem_of(limit=None)
    drawn = problem.space.sample_many(np.random.default_rng(1), 20_000)
    mean = read(problem, "latency", drawn).mean()
    assert target({"accuracy": 60.0}, {"name": "plus_cost", "metric": "latency@pixel3"}) == pytest.approx(
        mean, rel=0.005
    )


@pytest.mark.parametrize("name", NAMES)
def test_scores_that_are_no_accuracies_are_searched(name):
    problem = problem_of("nasbench201", None, MnasNet(target=10.0))
    run = search.run(name, problem, queries=80, seed=0)
    assert np.median(run.scores[40:]) > np.median(run.scores[:20])


@pytest.mark.parametrize("name", NAMES)
def test_a_space_of_single_choices_and_rules_is_searched(name):
    problem = Problem(hwnasbench.load("darts", data="shipped"), Metric("params"))
    assert 1 in problem.choices
    run = search.run(name, problem, queries=50, seed=0)
    assert len(run) == 50
    assert np.isfinite(run.scores).all()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_infeasible_at_first_is_no_obstacle(name, cells):
    problem = problem_of("nasbench201", 15.0, Constrained(Metric(), {"accuracy": 89.0}))
    run = search.run(name, problem, queries=80, seed=0)
    feasible = np.isfinite(run.scores)
    assert feasible[:20].sum() < 12
    assert feasible[40:].mean() > feasible[:20].mean()


@pytest.mark.parametrize("name", NAMES)
def test_a_search_ends_where_all_that_is_feasible_was_asked_for(name, cells):
    latency = cells.bench.column("latency", "pixel3")
    limit = float(np.sort(latency[np.isfinite(latency)])[40])
    feasible = {tuple(v) for v in cells.space.all_vectors()[latency <= limit].tolist()}
    run = search.run(name, problem_of("nasbench201", limit), queries=200, seed=0)
    asked = list(map(tuple, run.vectors.tolist()))
    assert len(asked) == len(set(asked))
    assert set(asked) <= feasible
    assert len(asked) > 0.8 * len(feasible)


def test_pytorchs_own_generator_and_threads_are_left_alone(fbnet):
    torch.manual_seed(5)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    search.run("dnas", fbnet, queries=40, seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("darts", {"steps": 0}),
        ("darts", {"warmup": True}),
        ("darts", {"learning_rate": 0}),
        ("dnas", {"temperature": -1}),
        ("dnas", {"annealing": 1.5}),
        ("dnas", {"samples": 0}),
        ("proxyless", {"samples": 0}),
        ("single_path", {"batch": 0}),
        ("single_path", {"samples": 0}),
    ],
)
def test_settings_out_of_range(name, setting, fbnet):
    with pytest.raises(InvalidRequest, match=f"{name}: {next(iter(setting))}="):
        search.run(name, fbnet, queries=10, **setting)


def test_a_surrogate_or_a_loss_that_nobody_knows(fbnet):
    with pytest.raises(UnknownName, match="did you mean 'mlp'"):
        search.run("darts", fbnet, queries=10, surrogate="mlpp")
    with pytest.raises(UnknownName, match="did you mean 'plus_cost'"):
        search.run("darts", fbnet, queries=10, loss="plus_cots")


@pytest.fixture(scope="module")
def drawn_within(fbnet):
    return fbnet.report([search.run(Within, fbnet, queries=60, seed=s).best for s in range(30)])["score"]


@pytest.mark.parametrize("name", NAMES)
def test_it_beats_random_search_that_knows_the_limit_too(name, fbnet, drawn_within):
    best = fbnet.report([search.run(name, fbnet, queries=60, seed=s).best for s in range(30)])["score"]
    assert wilcoxon(best, drawn_within, alternative="greater").pvalue < 0.01
