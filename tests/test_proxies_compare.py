"""One's own proxy against all others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small_store import ARCHS, CONNECTED, SPACE

torch = pytest.importorskip("torch")

from hwnasbench import proxies, ranking  # noqa: E402
from hwnasbench.benchmark import Benchmark  # noqa: E402
from hwnasbench.errors import InvalidRequest, NoColumn, ProxyFailed, UnknownName  # noqa: E402
from hwnasbench.proxies import comparison  # noqa: E402
from hwnasbench.tables.store import Store  # noqa: E402
from hwnasbench.tables.store_builder import build_store  # noqa: E402
from hwnasbench.tables.write import ColumnData, concat, write_table  # noqa: E402

INDEX = np.arange(len(ARCHS))
ACCURACY = 10 + INDEX * 7919 % len(ARCHS) / 200
TIMED = comparison._seconds
HELD = sorted(set(proxies.names()) - {"params", "macs"})


def size(network: Any, _batch: Any, _rng: Any) -> float:
    """The proxy that every other is to beat, as a user would write it."""
    return float(sum(values.numel() for values in network.parameters()))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """An accuracy, and scores at CIFAR-10: SynFlow knows it, NASWOT its opposite, the others nothing."""
    root = tmp_path_factory.mktemp("compare")
    known = {"synflow": ACCURACY**3, "naswot": -ACCURACY}
    noise = np.random.default_rng(0).standard_normal((len(HELD), len(ARCHS)))
    status = np.where(CONNECTED, 0, 1).astype(np.int8)
    keys: dict[str, Any] = {"dataset": "cifar10", "precision": "fp32", "recipe": "standard", "epochs": 200}
    columns = [
        ColumnData(SPACE.name, "accuracy", "own", "measured", ARCHS, values, INDEX, keys={**keys, "split": split})
        for split, values in (("test", ACCURACY), ("valid", 100 - ACCURACY))
    ]
    for name, random in zip(HELD, noise, strict=True):
        values = np.where(CONNECTED, known.get(name, random), np.nan)
        at: dict[str, Any] = {"dataset": "cifar10", "input": "gaussian", "batch": 16}
        columns.append(ColumnData(SPACE.name, name, "own", "measured", ARCHS, values, INDEX, status, at))
    write_table(concat(column.to_table() for column in columns), root / "tables" / "made_up.parquet")
    build_store([root / "tables" / "made_up.parquet"], root / "store", "made-up", {"own": {"priority": 0}}, root)
    return Store(root / "store")


@pytest.fixture(autouse=True)
def _small(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare on the made-up store, and do not time."""
    monkeypatch.setattr(comparison, "load", lambda space, _data: Benchmark(space, [store]))
    monkeypatch.setattr(comparison, "_seconds", lambda *_: 0.0)


def test_ranks_and_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_seconds", TIMED)
    monkeypatch.setattr(comparison, "_TIMED", 1)
    frame = proxies.compare(size, sample=20)
    assert set(frame.index) == {"size", *proxies.names()}
    assert list(frame.columns) == ["spearman", "kendall", "best_tenth", "seconds", "origin"]
    assert frame.loc["synflow", ["spearman", "kendall", "best_tenth"]].tolist() == pytest.approx([1, 1, 1])
    assert frame.loc["naswot", ["spearman", "kendall", "best_tenth"]].tolist() == pytest.approx([-1, -1, 0])
    ranks = ["spearman", "kendall", "best_tenth"]
    assert frame.loc["size", ranks].tolist() == frame.loc["params", ranks].tolist()
    assert set(frame.loc[HELD, "origin"]) == {"table"}
    assert set(frame.loc[["size", "params", "macs"], "origin"]) == {"evaluated"}
    assert frame["spearman"].is_monotonic_decreasing
    assert (frame["seconds"] > 0).all()


def test_sample_follows_from_its_seed() -> None:
    first, again, other = (proxies.compare(size, sample=10, seed=seed) for seed in (4, 4, 5))
    pd.testing.assert_frame_equal(first, again)
    archs = first.attrs["archs"]
    assert archs == again.attrs["archs"] != other.attrs["archs"]
    assert len({SPACE.canonical(arch) for arch in archs}) == 10
    assert all(SPACE.is_connected(arch) for arch in archs)
    told = {"space": "nasbench201", "dataset": "cifar10", "sample": 10, "seed": 4, "input": "gaussian"}
    assert {name: first.attrs[name] for name in told} == told
    assert first.attrs["accuracy"]["split"] == "test"


def test_scores_are_means_over_two_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    monkeypatch.setattr(comparison, "spearman", lambda scores, _: seen.append(scores) or 0.0)
    frame = proxies.compare("grad_norm", sample=10)
    from hwnasbench.proxies.evaluate import evaluate

    arch = frame.attrs["archs"][0]
    both = [evaluate(SPACE, arch, "cifar10", ["grad_norm"], seed=seed)["grad_norm"] for seed in (0, 1)]
    assert seen[0][0] == np.mean(both)


def test_registered_name_is_evaluated_here() -> None:
    frame = proxies.compare("l2_norm", sample=10)
    assert frame.loc["l2_norm", "origin"] == "evaluated"
    assert len(frame) == len(proxies.names())


def test_function_named_like_a_registered_one_is_told_apart() -> None:
    def snip(network: Any, batch: Any, rng: Any) -> float:
        return size(network, batch, rng)

    assert {"snip", "my snip"} <= set(proxies.compare(snip, sample=10).index)


def test_own_batch_is_for_everyone() -> None:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.random((4, 3, 32, 32), np.float32))
    seen = []

    def spoils(network: Any, batch: Any, _rng: Any) -> float:
        seen.append(batch)
        with torch.no_grad():
            network.head.weight.zero_()
        return 1.0

    batch = proxies.Batch(images, torch.tensor([0, 0, 1, 1]))
    frame = proxies.compare(spoils, sample=10, batch=batch)
    assert all(one is batch for one in seen)
    assert set(frame["origin"]) == {"evaluated"}
    assert frame.attrs["input"] == "custom"
    # A constant ranks nothing; that it spoilt its networks harmed no other proxy.
    assert np.isnan(frame.loc["spoils", "spearman"])
    assert frame.index[-1] == "spoils"
    assert frame.drop("spoils")["spearman"].notna().all()


def test_data_set_without_scores_is_evaluated_and_without_accuracy_refused() -> None:
    with pytest.raises(NoColumn, match="accuracy of 'nasbench201' with dataset='cifar100'"):
        proxies.compare(size, dataset="cifar100", sample=10)


def test_accuracy_of_another_split() -> None:
    frame = proxies.compare(size, sample=10, split="valid")
    assert frame.loc["naswot", "spearman"] == pytest.approx(1)
    assert frame.attrs["accuracy"]["split"] == "valid"


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"my_proxy": "synflw"}, UnknownName, "did you mean 'synflow'"),
        ({"my_proxy": 3}, InvalidRequest, "my_proxy=3: expected a function"),
        ({"my_proxy": lambda *_: 1 / 0}, ProxyFailed, r"proxy '<lambda>' raised ZeroDivisionError on \|"),
        ({"my_proxy": lambda *_: float("nan")}, ProxyFailed, r"returned nan on \|"),
        ({"space": "nasbench21"}, UnknownName, "did you mean 'nasbench201'"),
        ({"dataset": "cifar11"}, UnknownName, "unknown data set 'cifar11'; did you mean 'cifar10'"),
        ({"split": "tset"}, UnknownName, "did you mean 'test'"),
        ({"sample": 9}, InvalidRequest, "sample=9: expected 10 or more"),
        ({"sample": 10.0}, InvalidRequest, "sample=10.0"),
        ({"seed": -1}, InvalidRequest, "seed=-1: expected 0 or more"),
        ({"batch": [1]}, InvalidRequest, "batch is of type list; expected hwnasbench.proxies.Batch"),
    ],
)
def test_bad_input(given: dict[str, Any], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        proxies.compare(**{"my_proxy": size, "sample": 10, **given})


def test_space_smaller_than_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_DRAWS", 1)
    with pytest.raises(InvalidRequest, match="sample=300: 300 draws from 'nasbench201' found 2"):
        proxies.compare(size, sample=300)


def test_pairs_with_accelerators_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    from hwnasbench.devices.accelerator_spaces import joint, names

    with pytest.raises(InvalidRequest, match="pairs networks with accelerators"):
        proxies.compare(size, joint(SPACE, names()[0]), sample=10)


@pytest.mark.parametrize("ties", [1000, 5])
def test_rank_correlations_equal_those_of_scipy(ties: int) -> None:
    rng = np.random.default_rng(ties)
    a, b = rng.integers(ties, size=(2, 60)).astype(float)
    b += a / 2
    assert ranking.spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert ranking.kendall(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)
    assert np.isnan(ranking.spearman(a, np.ones(60)))
    assert np.isnan(ranking.kendall(np.ones(60), b))


def test_best_tenth_counts_the_best_that_are_found() -> None:
    truth = np.arange(40.0)
    scores = truth.copy()
    scores[[38, 37, 0]] = [0, 0, 99]  # of the best four (36 to 39), two are left in the highest four
    assert ranking.best_tenth(scores, truth) == 0.5
    assert ranking.best_tenth(truth, truth) == 1


def test_module_has_no_other_attributes() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'contrast'"):
        _ = proxies.contrast
