"""The table of proxies that ships: complete, made from the chunks beside it, and what an evaluation gives again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwnasbench
from data_builders.build import file_digest
from data_builders.proxies import SEEDS, distinct, jobs
from data_builders.proxies_table import BY_CLASS, COUNTED, KEYS, SOURCE, read
from hwnasbench import proxies, spaces
from hwnasbench.benchmark import Benchmark
from hwnasbench.paths import PACKAGE_DATA
from surrogates.shipping import PROXIES, read_json

SPACE = spaces.get("nasbench201")
CHUNKS = Path(__file__).parents[1] / "measurements" / "proxies" / SPACE.name
#: Summation order differs between processors: GraSP, a difference of large sums, shows it most.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def bench() -> Benchmark:
    return hwnasbench.load(SPACE.name, data="shipped")


def test_every_connected_cell_has_every_score(bench: Benchmark) -> None:
    connected = bench.column("macs", dataset="cifar10") > 0
    evaluated = {SPACE.canonical(SPACE.from_index(index)) for index in distinct(SPACE)}
    connected &= np.array([SPACE.canonical(arch) in evaluated for arch in SPACE])
    assert connected.sum() == 15_284
    for dataset in SPACE.datasets:
        for name in {*proxies.names(), "proxy_time"} - set(COUNTED):
            if name in BY_CLASS and dataset != "cifar10":
                continue
            values = bench.column(name, dataset=dataset, source=SOURCE, **KEYS)
            assert np.isfinite(values[connected]).all(), name
            assert np.isnan(values[~connected]).all(), name


def test_the_record_names_the_chunks_and_the_table() -> None:
    made = read_json(PACKAGE_DATA / PROXIES)[SPACE.name]
    chunks = [job[-1] for job in jobs(SPACE, distinct(SPACE), CHUNKS, SEEDS)]
    lines = sorted(f"{path.name} {file_digest(path)}" for path in chunks)
    assert made["chunks_sha256"] == hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert made["table_sha256"] == file_digest(PACKAGE_DATA / "tables" / f"{SPACE.name}_{SOURCE}.parquet")


@pytest.mark.parametrize("number", [3, 240, 401])
def test_what_ships_is_the_mean_of_the_seeds(bench: Benchmark, number: int) -> None:
    job = jobs(SPACE, distinct(SPACE), CHUNKS, SEEDS)[number]
    found = read([job], SPACE.datasets)
    for (arch, dataset), rows in found.groupby(["arch_index", "dataset"]):
        answer = bench.query(int(arch), metrics=("synflow", "naswot", "fisher"), dataset=dataset, source=SOURCE)
        for name in ("synflow", "naswot", "fisher"):
            assert answer[name].kind == "measured"
            assert answer[name].n == len(SEEDS)
            assert answer[name].value == pytest.approx(rows[name].mean(), rel=1e-6)
            assert answer[name].noise == pytest.approx(rows[name].std(ddof=1), rel=1e-3, abs=1e-12)


@pytest.mark.parametrize("number", [57, 300])
def test_an_evaluation_gives_the_chunk_again(number: int) -> None:
    pytest.importorskip("torch")
    from hwnasbench.proxies.evaluate import evaluate

    job = jobs(SPACE, distinct(SPACE), CHUNKS, SEEDS)[number]
    found = read([job], SPACE.datasets)
    row: dict[str, Any] = found[(found["dataset"] == "ImageNet16-120") & (found["seed"] == SEEDS[0])].iloc[0].to_dict()
    scores = evaluate(SPACE, int(row["arch_index"]), "ImageNet16-120", proxies.names(), seed=SEEDS[0])
    assert set(scores) >= set(proxies.names())
    for name in proxies.names():
        assert scores[name] == pytest.approx(row[name], rel=ROUNDING, abs=1e-9), name
