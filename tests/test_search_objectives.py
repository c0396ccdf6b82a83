"""Objectives against values computed by hand, what they refuse, and how they act in a problem."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwnasbench
from hwnasbench import search
from hwnasbench.errors import InvalidRequest, NoColumn, UnknownName
from hwnasbench.search import objectives
from hwnasbench.search.objectives.base import reference, upward

VALUES = {
    "accuracy": np.array([90.0, 80.0]),
    "latency": np.array([5.0, 20.0]),
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
    ({"name": "monas", "reference": 200.0, "form": "cost_threshold", "threshold": 60.0}, [0.9, 0]),
    ({"name": "monas", "reference": 200.0, "form": "accuracy_threshold", "threshold": 85.0}, [0.75, 0]),
    ({"name": "weighted", "t": 0.25, "reference": 10.0}, [0.75 * 0.9 - 0.25 * 0.5, 0.75 * 0.8 - 0.25 * 2]),
    ({"name": "apnas", "alpha": 0.1, "reference": 10.0}, [0.9 - 0.05, 0.8 - 0.2]),
    ({"name": "nahas", "latency": 10.0, "area": 4.0, "w0": -1.0, "w1": -2.0}, [90 * 2 * 4, 40]),
    ({"name": "performance_per_area"}, [100, 12.5]),
    ({"name": "energy_delay"}, [-250, -2000]),
    ({"name": "energy_delay", "area": True}, [-500, -8000]),
    ({"name": "devices", "references": {"pixel3": 10.0, "raspi4": 20.0}}, [0.45 - 0.75, 0.4 - 0.75]),
    ({"name": "devices", "references": {"pixel3": 10.0, "raspi4": 20.0}, "how": "maximum"}, [0.45 - 1, 0.4 - 1]),
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
    lacking = {**VALUES, "latency": np.array([np.nan, 1.0])}
    assert limited.feasible(lacking).tolist() == [False, True]


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({}, InvalidRequest, "needs a name"),
    ({"name": "mnasnt"}, UnknownName, "did you mean 'mnasnet'"),
    ({"name": "mnasnet"}, InvalidRequest, "mnasnet needs target"),
    ({"name": "mnasnet", "tagret": 1.0}, UnknownName, "did you mean 'target'"),
    ({"name": "mnasnet", "target": 0}, InvalidRequest, "target=0; expected a number above 0"),
    ({"name": "mnasnet", "target": 1.0, "above": 0.5}, InvalidRequest, "reward a larger cost"),
    ({"name": "mnasnet", "target": 1.0, "cost": "latensy"}, UnknownName, "did you mean 'latency'"),
    ({"name": "monas", "reference": 1.0, "alpha": 2.0}, InvalidRequest, "alpha=2.0; expected a number from 0 to 1"),
    ({"name": "monas", "reference": 1.0, "form": "cost"}, UnknownName, "form of monas"),
    ({"name": "monas", "reference": 1.0, "form": "cost_threshold"}, InvalidRequest, "threshold=None"),
    ({"name": "weighted", "t": float("nan"), "reference": 1.0}, InvalidRequest, "expected a number"),
    ({"name": "devices", "references": {}}, InvalidRequest, "references is empty"),
    ({"name": "devices", "references": {"pixel3": 1.0}, "how": "mean"}, UnknownName, "way of devices"),
    ({"name": "metric", "limits": {}}, InvalidRequest, "needs a limit"),
    ({"name": "metric", "limits": {"latency": True}}, InvalidRequest, "limit of latency is True"),
    ({"name": "front", "metrics": ["accuracy"]}, InvalidRequest, "two metrics or more"),
    ({"name": "front", "metrics": "accuracy"}, InvalidRequest, "expected a list"),
    ({"name": "front", "metric": []}, UnknownName, "did you mean 'metrics'"),
]


@pytest.mark.parametrize(("record", "error", "text"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_is_wrong_is_said(record, error, text):
    with pytest.raises(error, match=text.replace("(", r"\(")):
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


def test_references_are_read_back():
    for text in ("latency", "latency@pixel3", "accuracy?precision=analog,recipe=noisy", "latency@pixel3?batch=4"):
        assert str(reference(text)) == text
    assert reference("latency@pixel3?batch=4").keys == (("batch", 4),)
    assert upward("accuracy?recipe=noisy")
    assert not upward("latency@pixel3")
    wrong = (("acc", UnknownName), ("accuracy?split=test", UnknownName), ("accuracy?recipe", InvalidRequest))
    for text, error in wrong:
        with pytest.raises(error):
            reference(text)
    with pytest.raises(InvalidRequest, match="expected an integer"):
        reference("latency?batch=many")


@pytest.fixture(scope="module")
def bench():
    return hwnasbench.load("nasbench201", data="shipped")


def test_costs_of_other_devices_are_theirs(bench):
    made = objectives.Devices({"pixel3": 10.0, "raspi4": 20.0}, "maximum", t=1.0)
    (score,) = search.Problem(bench, made).scores([(1, 2, 3, 1, 2, 3)])
    known = [bench.query([1, 2, 3, 1, 2, 3], device=name).latency for name in ("pixel3", "raspi4")]
    assert score == pytest.approx(-max(known[0] / 10, known[1] / 20))


def test_faulty_accuracy_is_seen_only_where_the_test_split_is_asked_for(bench):
    with pytest.raises(NoColumn, match="split"):
        search.Problem(bench, objectives.FaultTolerant())
    problem = search.Problem(bench, objectives.FaultTolerant(1.0), split="test")
    noisy = bench.query(6111, precision="analog", recipe="noisy", metrics=("accuracy",)).accuracy
    vector = tuple(bench.space.parse(6111).vector)
    assert problem.scores([vector]) == [pytest.approx(noisy)]
    with pytest.raises(NoColumn):
        search.Problem(bench, objectives.FaultTolerant(), split="test", dataset="cifar100")


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
        (lambda found: 1 / 0, "failed at accuracy=.*ZeroDivisionError"),
        (lambda found: found["energy"], "does not look at energy"),
        (lambda found: (1.0, 2.0), "gave 2 numbers"),
    ],
)
def test_a_function_that_fails_says_where(bench, function, text):
    with pytest.raises(InvalidRequest, match=text):
        search.Problem(bench, objectives.Function(function, ["accuracy"])).scores([(1, 2, 3, 1, 2, 3)])


def test_what_is_no_function_is_refused():
    for arguments in ((1, ["accuracy"]), (float, "accuracy"), (float, ["accuracy"], 0), (float, [])):
        with pytest.raises(InvalidRequest):
            objectives.Function(*arguments)
