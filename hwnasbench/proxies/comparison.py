"""A new proxy against all others: how well each ranks architectures, and what it costs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hwnasbench import proxies, spaces
from hwnasbench.benchmark import Benchmark, load
from hwnasbench.errors import InvalidRequest, UnknownName
from hwnasbench.proxies.base import BATCH, Batch, Proxy
from hwnasbench.proxies.evaluate import check_batch, shared
from hwnasbench.ranking import best_tenth, kendall, spearman

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwnasbench.proxies.base import Function
    from hwnasbench.spaces import Architecture, Space

#: Of the shipped scores, which are means over them.
SEEDS = (0, 1)
#: The best tenth of fewer is nobody.
FEWEST = 10
#: Networks on which each proxy is timed alone.
_TIMED = 3
#: So many draws for each architecture of a sample; then the space has too few.
_DRAWS = 100


def compare(
    my_proxy: Function | Proxy | str,
    space: Space | str = "nasbench201",
    dataset: str | None = None,
    *,
    sample: int = 100,
    seed: int = 0,
    batch: Batch | None = None,
    split: str | None = None,
    data: str = "auto",
) -> pd.DataFrame:
    """Rank architectures by a proxy and by all registered ones, and compare with the rank of their accuracy.

    Every score is the mean over two draws of weights (seeds 0 and 1), as the shipped ones are. Where the input is
    Gaussian, the others' scores are taken from the shipped table, where it has them; else they are evaluated.

    Parameters
    ----------
    my_proxy : callable, Proxy or str
        Takes a network (`hwnasbench.proxies.base.ProxyNetwork`, a PyTorch module), a batch and a generator, and returns
        a float, more for the better. It sees a network of its own, which it may change. Or a registered name.
    space : Space or str
    dataset : str, optional
        The space's constant by default.
    sample : int
        How many architectures: connected ones of different function, that have an accuracy.
    seed : int
        Of the sample.
    batch : Batch, optional
        Your own images and labels, for all proxies; 16 Gaussian images by default.
    split : str, optional
        Of the accuracy, which is otherwise the one that a plain query answers with.
    data : {"auto", "shipped", "built"}
        As for `hwnasbench.load`.

    Returns
    -------
    pandas.DataFrame
        One row a proxy, by name, the best first. ``spearman`` and ``kendall`` (tau-b) of score and accuracy, NaN
        for a constant score; ``best_tenth``, the share of the most accurate tenth in the proxy's highest tenth;
        ``seconds``, the median wall time of scoring one network on this machine, the proxy alone, its network built;
        ``origin``, ``table`` or ``evaluated``. ``attrs`` says of what: space, data set, sample, seed, input, accuracy,
        the architectures, release and fingerprint. The same arguments give the same frame but for the seconds.

    Raises
    ------
    UnknownName
        When the space, the data set, the split or the proxy's name is unknown.
    InvalidRequest
        When the sample is too small or the space has no such sample, or the batch does not fit the network.
    NoColumn
        When the space has no such accuracy.
    ProxyFailed
        When a proxy raises or returns no finite number; the message names the architecture.
    MissingExtra
        When PyTorch is not installed.
    """
    bench, dataset = _open(space, dataset, data)
    mine = _as_proxy(my_proxy)
    archs, accuracy = _sample(bench, dataset, split, sample, seed)
    if batch is not None:
        check_batch(batch, bench.space.network(archs[0], dataset))
    chosen = [mine, *(proxies.get(name) for name in proxies.names() if name != mine.name)]
    scores, origins = _scores(bench, dataset, archs, chosen, batch)
    rows = {
        proxy.name: {
            "spearman": spearman(scores[proxy.name], accuracy),
            "kendall": kendall(scores[proxy.name], accuracy),
            "best_tenth": best_tenth(scores[proxy.name], accuracy),
            "seconds": _seconds(bench.space, dataset, archs[:_TIMED], proxy, batch),
            "origin": origins[proxy.name],
        }
        for proxy in chosen
    }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame = frame.sort_values("spearman", ascending=False, kind="stable").rename_axis("proxy")
    answered = bench.plan(metrics=("accuracy",), dataset=dataset, split=split).resolved["accuracy"].column
    frame.attrs = {
        "space": bench.space.name,
        "dataset": dataset,
        "sample": sample,
        "seed": seed,
        "input": "gaussian" if batch is None else "custom",
        "accuracy": answered.describe(),
        "archs": [bench.space.format(arch) for arch in archs],
        "release": bench.release,
        "fingerprint": bench.fingerprint,
    }
    return frame


def _open(space: Space | str, dataset: str | None, data: Any) -> tuple[Benchmark, str]:
    found = spaces.get(space) if isinstance(space, str) else space
    bench = load(found, data)
    if not isinstance(bench, Benchmark):
        raise InvalidRequest(f"{found.name!r} pairs networks with accelerators; expected a space of networks")
    if dataset is None:
        dataset = bench.defaults["defaults"].get("dataset", bench.space.datasets[0])
    if dataset not in bench.space.datasets:
        raise UnknownName("data set", dataset, bench.space.datasets)
    return bench, dataset


def _as_proxy(given: Function | Proxy | str) -> Proxy:
    """Return a proxy; a function that has a registered one's name gets another."""
    if isinstance(given, str):
        return proxies.get(given)
    if isinstance(given, Proxy):
        return given
    if not callable(given):
        raise InvalidRequest(f"my_proxy={given!r}: expected a function of (network, batch, rng), or a registered name")
    name = getattr(given, "__name__", type(given).__name__)
    return Proxy(f"my {name}" if name in proxies.names() else name, given, "", "")


def _sample(
    bench: Benchmark, dataset: str, split: str | None, size: int, seed: int
) -> tuple[list[Architecture], NDArray[np.float64]]:
    """Draw connected architectures of different function that have an accuracy, and return both."""
    if isinstance(size, bool) or not isinstance(size, int) or size < FEWEST:
        raise InvalidRequest(f"sample={size!r}: expected {FEWEST} or more")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InvalidRequest(f"seed={seed!r}: expected 0 or more")
    rng = np.random.default_rng(seed)
    found: dict[str, tuple[Architecture, float]] = {}
    for _ in range(_DRAWS * size):
        arch = bench.space.sample(rng)
        name = bench.space.canonical(arch)
        if name in found or not len(bench.space.network(arch, dataset).live()):
            continue
        value = bench.query(arch, metrics=("accuracy",), dataset=dataset, split=split)["accuracy"].value
        if value is not None:
            found[name] = (arch, value)
        if len(found) == size:
            break
    if len(found) < size:
        raise InvalidRequest(f"sample={size}: {_DRAWS * size} draws from {bench.space.name!r} found {len(found)}")
    return [arch for arch, _ in found.values()], np.array([value for _, value in found.values()])


def _scores(
    bench: Benchmark, dataset: str, archs: list[Architecture], chosen: list[Proxy], batch: Batch | None
) -> tuple[dict[str, NDArray[np.float64]], dict[str, str]]:
    """Return each proxy's scores and where they are from; the first proxy is evaluated, on networks of its own."""
    mine, *others = chosen
    keys: dict[str, Any] = {"dataset": dataset, "input": "gaussian", "batch": BATCH}
    held = {c.metric for c in bench.all_columns() if all(c.keys[key] == value for key, value in keys.items())}
    known = [proxy.name for proxy in others if proxy.name in held and batch is None]
    scores = _evaluated(bench.space, dataset, archs, [mine], batch)
    if known:
        frame = bench.query_many(archs, metrics=known, **keys)
        scores |= {name: frame[name].to_numpy(np.float64) for name in known}
    left = [proxy for proxy in others if proxy.name not in known]
    scores |= _evaluated(bench.space, dataset, archs, left, batch)
    return scores, {proxy.name: "table" if proxy.name in known else "evaluated" for proxy in chosen}


def _evaluated(
    space: Space, dataset: str, archs: list[Architecture], chosen: Sequence[Proxy], batch: Batch | None
) -> dict[str, NDArray[np.float64]]:
    batches = None if batch is None else [batch]
    rows = []
    for arch in archs:
        network = space.network(arch, dataset)
        found = [shared([network], chosen, seed, batches)[0] for seed in SEEDS]
        rows.append([np.mean([one[proxy.name] for one in found]) for proxy in chosen])
    return {proxy.name: np.array(column) for proxy, column in zip(chosen, zip(*rows, strict=True), strict=True)}


def _seconds(space: Space, dataset: str, archs: list[Architecture], proxy: Proxy, batch: Batch | None) -> float:
    """Return the median wall time of a proxy on networks that no other one has seen."""
    spent: list[float] = []

    def timed(*given: Any) -> float:
        started = time.perf_counter()
        score = proxy(*given)
        spent.append(time.perf_counter() - started)
        return score

    once = Proxy(proxy.name, timed, proxy.paper, proxy.definition)
    for arch in archs:
        shared([space.network(arch, dataset)], [once], SEEDS[0], None if batch is None else [batch])
    return float(np.median(spent))
