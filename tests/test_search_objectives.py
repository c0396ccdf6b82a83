"""Objectives against values computed by hand, what they refuse, and how they act in a problem."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwnasbench
from hwnasbench import search
from hwnasbench.errors import InvalidRequest, ObjectiveFailed, UnknownName
from hwnasbench.search import objectives
from hwnasbench.search.objectives.base import reference, upward

VECTOR = (1, 2, 3, 1, 2, 3)
VALUES = {
    "accuracy": np.array([90.0, 80.0]),
    "latency": np.array([5.0, 20.0]),
    "dsp": np.array([100.0, 400.0]),
    "energy": np.array([50.0, 100.0]),
    "area": np.array([2.0, 4.0]),
    "macs": np.array([1e6, 4e6]),
    "latency@pixel3": np.array([10.0, 20.0]),
    "latency@raspi4": np.array([40.0, 20.0]),
    "accuracy?precision=analog,recipe=noisy": np.array([70.0, 75.0]),
}
BY_HAND: list[tuple[dict[str, Any], list[float]]] = [
    ({"name": "metric"}, [90, 80]),
    ({"name": "metric", "metric": "latency"}, [-5, -20]),
    ({"name": "mnasnet", "target": 10.0}, [90 * 0.5**-0.07, 80 * 2**-0.07]),
    ({"name": "mnasnet", "target": 10.0, "below": 0.0, "above": -1.0}, [90, 40]),
    ({"name": "mnasnet", "target": 2e6, "cost": "macs", "below": -0.5, "above": -0.5}, [90 * 2**0.5, 80 / 2**0.5]),
    ({"name": "monas", "reference": 200.0, "alpha": 0.8}, [0.8 * 0.9 - 0.2 * 0.25, 0.8 * 0.8 - 0.2 * 0.5]),
    ({"name": "monas", "form": "cost_threshold", "threshold": 60.0}, [0.9, 0]),
    ({"name": "monas", "form": "cost_threshold", "threshold": 50.0}, [0, 0]),
    ({"name": "monas", "form": "cost_threshold", "cost": "macs", "threshold": 2e6}, [0.9, 0]),
    ({"name": "monas", "reference": 200.0, "form": "accuracy_threshold", "threshold": 85.0}, [0.75, 0]),
    ({"name": "weighted", "t": 0.25, "reference": 10.0}, [0.75 * 0.9 - 0.25 * 0.5, 0.75 * 0.8 - 0.25 * 2]),
    ({"name": "apnas", "alpha": 0.1, "reference": 10.0}, [0.9 - 0.05, 0.8 - 0.2]),
    ({"name": "nahas", "latency": 10.0, "area": 4.0, "w0": -1.0, "w1": -2.0}, [90 * 2 * 4, 40]),
    ({"name": "nahas", "latency": 10.0, "area": 200.0, "resource": "dsp"}, [90 * 4**0.07, 80 * 0.25**0.07]),
    ({"name": "performance_per_area"}, [100, 12.5]),
    ({"name": "performance_per_area", "resource": "dsp"}, [2, 0.125]),
    ({"name": "energy_delay"}, [-250, -2000]),
    ({"name": "energy_delay", "area": True}, [-500, -8000]),
    ({"name": "devices", "references": {"pixel3": 10.0, "raspi4": 20.0}}, [0.45 - 0.75, 0.4 - 0.75]),
    ({"name": "devices", "references": {"pixel3": 10.0, "raspi4": 20.0}, "how": "maximum"}, [0.45 - 1, 0.4 - 1]),
    ({"name": "function", "function": "own_objectives:per_joule", "metrics": ["accuracy", "energy"]}, [1.8, 0.8]),
    ({"name": "fault_tolerant", "alpha": 0.25}, [0.75 * 90 + 0.25 * 70, 0.75 * 80 + 0.25 * 75]),
]


@pytest.mark.parametrize(("record", "expected"), BY_HAND, ids=lambda value: str(value)[:60])
def test_scores_are_those_computed_by_hand(record, expected):
    made = objectives.make(record)
    np.testing.assert_allclose(made.score(VALUES), expected, rtol=1e-12)
    assert set(made.metrics) <= set(VALUES)
    assert made.feasible(VALUES).all()


def test_every_objective_is_computed_by_hand():
    assert {record["name"] for record, _ in BY_HAND} | {"front", "codesign"} == set(objectives.names())


def test_a_front_has_one_score_a_metric():
    made = objectives.make({"name": "front", "metrics": ["accuracy", "latency"]})
    assert made.count == 2
    assert made.score(VALUES).tolist() == [[90, -5], [80, -20]]


def test_limits_and_thresholds_tell_what_is_feasible():
    limited = objectives.make({"name": "metric", "limits": {"latency": 5.0}})
    assert limited.feasible(VALUES).tolist() == [True, False]
    assert objectives.make({"name": "metric", "limits": {"accuracy": 85.0}}).feasible(VALUES).tolist() == [True, False]
    codesign = objectives.make({"name": "codesign", "threshold": 12.6})
    assert codesign.feasible(VALUES).tolist() == [True, False]
    assert codesign.score(VALUES).tolist() == [90, 80]
    on_an_fpga = objectives.make({"name": "codesign", "threshold": 2.0, "resource": "dsp"})
    assert on_an_fpga.feasible(VALUES).tolist() == [True, False]
    lacking = {**VALUES, "latency": np.array([np.nan, 1.0])}
    assert limited.feasible(lacking).tolist() == [False, True]


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({}, InvalidRequest, "needs a name"),
    ("mnasnet", InvalidRequest, "expected a table"),
    ({"name": ["mnasnet"]}, UnknownName, "unknown objective"),
    ({"name": "mnasnt"}, UnknownName, "did you mean 'mnasnet'"),
    ({"name": "mnasnet"}, InvalidRequest, "mnasnet needs target"),
    ({"name": "mnasnet", "tagret": 1.0}, UnknownName, "did you mean 'target'"),
    ({"name": "mnasnet", "target": 0}, InvalidRequest, "target=0; expected a number above 0"),
    ({"name": "mnasnet", "target": 1.0, "above": 0.5}, InvalidRequest, "reward a larger cost"),
    ({"name": "mnasnet", "target": 1.0, "cost": "latensy"}, UnknownName, "did you mean 'latency'"),
    ({"name": "mnasnet", "target": float("inf")}, InvalidRequest, "target=inf; expected a number"),
    ({"name": "mnasnet", "target": 1.0, "cost": "throughput"}, InvalidRequest, "more of it is better"),
    ({"name": "nahas", "latency": 1.0, "area": 1.0, "resource": "accuracy"}, InvalidRequest, "more of it is better"),
    ({"name": "monas", "form": "weighted"}, InvalidRequest, "reference=None; expected a number"),
    ({"name": "monas", "reference": 1.0, "cost": "utilisation"}, InvalidRequest, "more of it is better"),
    ({"name": "weighted", "t": 0.5, "reference": 1.0, "cost": "throughput"}, InvalidRequest, "more of it is better"),
    ({"name": "apnas", "alpha": -1.0, "reference": 1.0}, InvalidRequest, "alpha=-1.0; expected a number above 0"),
    ({"name": "codesign", "threshold": "high"}, InvalidRequest, "threshold='high'; expected a number"),
    ({"name": "energy_delay", "area": "yes"}, InvalidRequest, "area='yes'; expected true or false"),
    ({"name": "fault_tolerant", "alpha": True}, InvalidRequest, "alpha=True; expected a number"),
    (
        {"name": "function", "function": "nowhere:at_all", "metrics": ["macs"]},
        InvalidRequest,
        "expected MODULE:FUNCTION",
    ),
    ({"name": "function", "function": "own_objectives:no", "metrics": ["macs"]}, InvalidRequest, "no function"),
    ({"name": "function", "function": "per_joule", "metrics": ["macs"]}, InvalidRequest, "no function 'per_joule'"),
    ({"name": "function", "function": "math:pi", "metrics": ["macs"]}, InvalidRequest, "expected a function"),
    ({"name": "monas", "reference": 1.0, "alpha": 2.0}, InvalidRequest, "alpha=2.0; expected a number from 0 to 1"),
    ({"name": "monas", "reference": 1.0, "form": "cost"}, UnknownName, "form of monas"),
    ({"name": "monas", "reference": 1.0, "form": "cost_threshold"}, InvalidRequest, "threshold=None"),
    ({"name": "weighted", "t": float("nan"), "reference": 1.0}, InvalidRequest, "expected a number"),
    ({"name": "devices", "references": {}}, InvalidRequest, "expected a number for each device"),
    ({"name": "devices", "references": ["pixel3"]}, InvalidRequest, "expected a number for each device"),
    ({"name": "devices", "references": {"pixel3": 0}}, InvalidRequest, "references[pixel3]=0; expected a number above"),
    ({"name": "devices", "references": {"pixel3": 1.0}, "how": "mean"}, UnknownName, "way of devices"),
    ({"name": "metric", "limits": {}}, InvalidRequest, "needs a limit"),
    ({"name": "metric", "limits": {"latency": True}}, InvalidRequest, "limit of latency is True"),
    ({"name": "front", "metrics": ["accuracy"]}, InvalidRequest, "two metrics or more"),
    ({"name": "front", "metrics": "accuracy"}, InvalidRequest, "expected a list"),
    ({"name": "front", "metric": []}, UnknownName, "did you mean 'metrics'"),
]


@pytest.mark.parametrize(("record", "error", "text"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_is_wrong_is_said(record, error, text):
    with pytest.raises(error, match=re.escape(text)):
        objectives.make(record)


@given(
    st.sampled_from(["mnasnet", "weighted", "apnas", "nahas", "energy_delay"]),
    st.floats(0.1, 100),
    st.floats(1.01, 10),
    st.floats(1, 99),
)
def test_a_larger_cost_is_never_better(name, latency, factor, accuracy):
    settings = {
        "mnasnet": {"target": 10.0},
        "weighted": {"t": 0.5, "reference": 10.0},
        "apnas": {"alpha": 0.1, "reference": 10.0},
        "nahas": {"latency": 10.0, "area": 1.0},
        "energy_delay": {},
    }[name]
    made = objectives.make({"name": name, **settings})
    both = np.array([latency, latency * factor])
    values = {"accuracy": np.full(2, accuracy), "latency": both, "area": np.ones(2), "energy": np.ones(2)}
    scores = made.score(values)
    assert scores[1] < scores[0]


@pytest.mark.parametrize("cost", [0.0, -1.0, np.nan])
def test_what_costs_nothing_has_no_power(cost):
    """A ratio that is not above 0 has no power below 0: no score, and no warning either."""
    values = {"accuracy": np.array([90.0]), "latency": np.array([cost]), "area": np.array([2.0])}
    for record in (
        {"name": "mnasnet", "target": 10.0},
        {"name": "nahas", "latency": 1.0, "area": 1.0},
        {"name": "performance_per_area"},
    ):
        assert np.isnan(objectives.make(record).score(values)).all()
    hard = objectives.make({"name": "mnasnet", "target": 10.0, "below": 0.0, "above": -1.0})
    assert hard.score(values).tolist() == ([90.0] if cost == cost else [pytest.approx(np.nan, nan_ok=True)])


@given(st.floats(1, 99), st.floats(0.01, 100), st.floats(0.01, 100))
def test_on_the_target_and_up_to_it_the_score_is_the_accuracy(accuracy, target, share):
    values = {
        "accuracy": np.full(2, accuracy),
        "latency": np.array([target, target * min(share, 1)]),
        "area": np.ones(2),
    }
    hard = objectives.MnasNet(target, below=0.0, above=-1.0)
    assert hard.score(values).tolist() == [accuracy, accuracy]
    assert objectives.MnasNet(target).score(values)[0] == accuracy
    assert objectives.Nahas(target, 1.0).score(values)[0] == accuracy


@given(st.floats(0, 1), st.floats(1, 99), st.floats(0.1, 100))
def test_a_mixture_lies_between_its_parts(weight, accuracy, latency):
    values = {"accuracy": np.array([accuracy]), "latency": np.array([latency])}
    mixed = objectives.Weighted(weight, reference=50.0).score(values)[0]
    parts = accuracy / 100, -latency / 50
    assert min(parts) - 1e-12 <= mixed <= max(parts) + 1e-12


def test_the_soft_exponent_is_that_of_five_per_cent_for_twice_the_latency():
    values = {"accuracy": np.array([70.0, 70.0 * 1.05]), "latency": np.array([10.0, 20.0])}
    one, other = objectives.MnasNet(10.0).score(values)
    assert one == pytest.approx(other, rel=1e-3)


def test_references_are_read_back():
    for text in ("latency", "latency@pixel3", "accuracy?precision=analog,recipe=noisy", "latency@pixel3?batch=4"):
        assert str(reference(text)) == text
    assert reference("latency@pixel3?batch=4").keys == (("batch", 4),)
    assert str(reference("accuracy? recipe=noisy, precision = analog")) == "accuracy?precision=analog,recipe=noisy"
    assert upward("accuracy?recipe=noisy")
    assert not upward("latency@pixel3")


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("acuracy", UnknownName, "did you mean 'accuracy'"),
        ("accuracy?split=test", InvalidRequest, "split is the problem's"),
        ("accuracy?epochs=12", InvalidRequest, "epochs is the problem's"),
        ("accuracy?recipe", InvalidRequest, "recipe has no value"),
        ("accuracy?", UnknownName, "key of accuracy"),
        ("accuracy?device=pixel3", UnknownName, "key of accuracy"),
        ("accuracy?precission=int8", UnknownName, "did you mean 'precision'"),
        ("latency?recipe=noisy", UnknownName, "key of latency"),
        ("accuracy?recipe=a,recipe=b", InvalidRequest, "stands twice"),
        ("latency@", InvalidRequest, "no device stands after the @"),
        ("latency?batch=many", InvalidRequest, "expected an integer"),
    ],
)
def test_what_is_no_reference_is_refused(text, error, said):
    with pytest.raises(error, match=re.escape(said)):
        reference(text)


@pytest.fixture(scope="module")
def bench():
    return hwnasbench.load("nasbench201", data="shipped")


def test_costs_of_other_devices_are_theirs(bench):
    made = objectives.Devices({"pixel3": 10.0, "raspi4": 20.0}, "maximum", t=1.0)
    (score,) = search.Problem(bench, made).scores([(1, 2, 3, 1, 2, 3)])
    known = [bench.query([1, 2, 3, 1, 2, 3], device=name).latency for name in ("pixel3", "raspi4")]
    assert score == pytest.approx(-max(known[0] / 10, known[1] / 20))


def test_a_metric_may_be_asked_with_keys_of_its_own(bench):
    """Latency of one image and of a batch; the accuracy of another data set, with its own lengths of training."""
    single, four = "latency@systolic_32x32", "latency@systolic_32x32?batch=4"
    problem = search.Problem(bench, objectives.Front(single, four))
    values = problem.values(np.array([VECTOR], np.int8))
    assert values[four][0] == bench.query(VECTOR, "systolic_32x32", batch=4).latency > values[single][0]
    other = search.Problem(bench, objectives.Metric("accuracy?dataset=cifar100"))
    assert [level.epochs for level in other.fidelities] == [12]
    asked = {"metrics": ("accuracy",), "dataset": "cifar100", "split": "valid", "epochs": 12}
    assert other.scores([VECTOR]) == [pytest.approx(bench.query(VECTOR, **asked).accuracy)]
    both = search.Problem(bench, objectives.Front("accuracy", "accuracy?dataset=cifar100"))
    assert [level.epochs for level in both.fidelities] == [12]


def test_faulty_accuracy_is_hidden_behind_the_wall(bench):
    """It is known for the test split alone: no search sees it unless the test split is asked for in so many words."""
    for device in (None, "pixel3"):
        with pytest.raises(InvalidRequest, match=r"no valid accuracy.precision=analog,recipe=noisy; say split='test'"):
            search.Problem(bench, objectives.FaultTolerant(), device)
        with pytest.raises(InvalidRequest, match=r"no valid accuracy.precision=analog,recipe=noisy; say split='test'"):
            search.Problem(bench, objectives.Metric("accuracy?precision=analog,recipe=noisy"), device)
    problem = search.Problem(bench, objectives.FaultTolerant(0.25), split="test")
    faulty = bench.query(VECTOR, precision="analog", recipe="noisy", metrics=("accuracy",)).accuracy
    for level, epochs in enumerate((12, 200)):
        clean = bench.query(VECTOR, split="test", epochs=epochs, metrics=("accuracy",)).accuracy
        assert problem.fidelities[level].epochs == epochs
        assert problem.scores([VECTOR], level) == [pytest.approx(0.75 * clean + 0.25 * faulty)]
    assert problem.report([VECTOR])["score"][0] == pytest.approx(0.75 * clean + 0.25 * faulty)


@pytest.mark.parametrize("device", [None, "pixel3", "systolic_32x32"])
def test_elsewhere_faulty_accuracy_is_an_error(bench, device):
    """Also where a device's precision would let the accuracy in fp32 stand in."""
    with pytest.raises(InvalidRequest, match=r"no test accuracy.precision=analog"):
        search.Problem(bench, objectives.FaultTolerant(), device, split="test", dataset="cifar100")
    analog = objectives.Metric("accuracy?precision=analog")
    with pytest.raises(InvalidRequest, match=r"no test accuracy.precision=analog"):
        search.Problem(bench, analog, device, split="test", dataset="cifar100")
    with pytest.raises(InvalidRequest, match=r"nasbench101 has no test accuracy.precision=analog"):
        search.Problem(hwnasbench.load("nasbench101", data="shipped"), analog, split="test")


def test_no_search_sees_test_accuracy(bench):
    """Each objective's accuracies, as a search sees them, are those of the validation split; a report has the other."""
    records = [record for record, _ in BY_HAND if record["name"] not in ("fault_tolerant", "function")]
    valid, test = (
        bench.query(VECTOR, metrics=("accuracy",), split=split, epochs=200).accuracy for split in ("valid", "test")
    )
    assert valid != test
    for record in records:
        made = objectives.make(record)
        if "accuracy" in made.metrics and not {"area", "dsp"} & {*made.metrics}:
            problem = search.Problem(bench, made, "eyeriss")
            assert problem.values([VECTOR])["accuracy"] == valid
            assert problem.report([VECTOR])["accuracy"] == test
    for made in (
        objectives.Front("accuracy", "params"),
        objectives.Function(lambda found: found.accuracy, ["accuracy"]),
    ):
        problem = search.Problem(bench, made)
        assert problem.values([VECTOR])["accuracy"] == valid
        assert problem.report([VECTOR])["accuracy"] == test


def test_a_threshold_that_nothing_reaches_is_said(bench):
    made = objectives.Codesign(1e9)
    with pytest.raises(
        InvalidRequest, match=r"feasible within 1000 / \(latency x area\) of 1e\+09 or more; accuracy is "
    ):
        search.Problem(bench, made, "eyeriss")


def test_objectives_survive_a_pickle():
    for record, _ in BY_HAND:
        made = objectives.make(record)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(made)).score(VALUES), made.score(VALUES))


def test_a_function_scores_one_architecture_at_a_time(bench):
    made = objectives.Function(lambda found: found.accuracy - found["latency@pixel3"], ["accuracy", "latency@pixel3"])
    problem = search.Problem(bench, made)
    vector = (1, 2, 3, 1, 2, 3)
    values = problem.values(np.array([vector], np.int8))
    assert problem.scores([vector]) == [values["accuracy"][0] - values["latency@pixel3"][0]]
    two = objectives.Function(lambda found: (found.accuracy, 1.0), ["accuracy"], count=2)
    assert search.Problem(bench, two).scores([vector]) == [(values["accuracy"][0], 1.0)]


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda found: 1 / 0, "raised ZeroDivisionError"),
        (lambda found: found["energy"], "unknown metric of the objective 'energy'"),
        (lambda found: found.acuracy, "did you mean 'accuracy'"),
        (lambda found: (1.0, 2.0), "returned (1.0, 2.0)"),
        (lambda found: None, "returned None"),
        (lambda found: "good", "returned 'good'"),
        (lambda found: float("inf"), "returned inf"),
    ],
)
def test_a_function_that_fails_says_where(bench, function, text):
    def fails(found):
        return function(found) if found.accuracy == most else found.accuracy

    seen = bench.column("accuracy", split="valid", epochs=200)
    most = float(np.nanmax(seen))
    arch = bench.space.format(int(np.nanargmax(seen)))
    with pytest.raises(ObjectiveFailed, match=re.escape(text)) as failed:
        search.Problem(bench, objectives.Function(fails, ["accuracy"])).scores([VECTOR])
    assert str(failed.value).startswith(f"{arch} of nasbench201: ")
    assert str(pickle.loads(pickle.dumps(failed.value))) == str(failed.value)


def test_a_function_that_fails_in_a_large_space_says_where():
    bench = hwnasbench.load("mnasnet", data="shipped")
    problem = search.Problem(bench, objectives.Function(lambda found: 1 / 0, ["macs"]))
    vector = tuple(bench.space.sample_many(np.random.default_rng(0), 1)[0].tolist())
    with pytest.raises(ObjectiveFailed, match=re.escape(bench.space.format(vector))):
        problem.scores([vector])


def test_a_function_may_call_an_architecture_infeasible(bench):
    def small(found):
        return found.accuracy if found.params < 5e5 else float("nan")

    problem = search.Problem(bench, objectives.Function(small, ["accuracy", "params"]))
    scores = np.array(problem.scores([tuple(v) for v in bench.space.all_vectors().tolist()]))
    assert np.array_equal(np.isfinite(scores), bench.column("params") < 5e5)
    both = objectives.Function(lambda found: (float("-inf"), found.accuracy), ["accuracy"], 2)
    assert search.Problem(bench, both).scores([VECTOR]) == [(-np.inf, -np.inf)]


def test_what_is_no_function_is_refused():
    for arguments in ((1, ["accuracy"]), (float, "accuracy"), (float, ["accuracy"], 0), (float, [])):
        with pytest.raises(InvalidRequest):
            objectives.Function(*arguments)
