"""The table of proxies that ships: what is read of an evaluation, how it is laid out, and which column then answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_store import ARCHS, CONNECTED, DISCONNECTED, SPACE

from data_builders import proxies as evaluation
from data_builders import proxies_table, rows
from data_builders.proxy_times import on_one_processor
from hwnasbench import proxies
from hwnasbench.benchmark import Benchmark
from hwnasbench.errors import CorruptFile, InvalidRequest, SourceMissing, UnknownName
from hwnasbench.spaces import Space
from hwnasbench.tables.store import Store
from hwnasbench.tables.store_builder import build_store
from hwnasbench.tables.write import ColumnData, concat, read_table, write_table

#: Metrics of the table, sorted.
METRICS = sorted((set(proxies.names()) - {"params", "macs"}) | {"proxy_time"})


class Few:
    """The first cells of NAS-Bench-201: cell 9 is equal to cell 3, cells 10 and 12 are disconnected."""

    name, datasets = SPACE.name, SPACE.datasets
    canonical, network, format = SPACE.canonical, SPACE.network, SPACE.format
    from_index = SPACE.from_index

    def __len__(self) -> int:
        return 14

    def __iter__(self) -> Iterator[Any]:
        return iter([SPACE.from_index(index) for index in range(len(self))])


FEW = cast("Space", Few())


def made_up(indices: list[int], seeds: tuple[int, ...] = (0, 1)) -> pd.DataFrame:
    """Scores that say by themselves of which architecture, data set, seed and proxy they are."""
    rows = []
    for index in indices:
        for number, dataset in enumerate(SPACE.datasets):
            for seed in seeds:
                base = index + 0.25 * number + 2.0 * seed
                row = {name: base * 10.0**place for place, name in enumerate([*proxies.names(), "seconds"])}
                row["synflow"] = base * 1e40  # beyond float32
                rows.append({"arch_index": index, "dataset": dataset, "seed": seed, **row})
    return pd.DataFrame(rows).assign(torch="2.0", machine="here")


def write_chunks(folder: Path) -> list[tuple[Any, ...]]:
    chunks = evaluation.jobs(FEW, evaluation.distinct(FEW), folder)
    folder.mkdir()
    for _, indices, seeds, path in chunks:
        pq.write_table(pa.Table.from_pandas(made_up(indices, seeds), preserve_index=False), path)
    return chunks


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """Made-up scores of every function, beside a published column that does not state its input."""
    root = tmp_path_factory.mktemp("proxies")
    first: dict[str, int] = {}
    for index in np.flatnonzero(CONNECTED):
        first.setdefault(SPACE.canonical(int(index)), int(index))
    indices = list(first.values())
    columns = list(proxies_table.columns(SPACE, made_up(indices), indices))
    published = ColumnData(
        SPACE.name, "naswot", "published", "estimated", ARCHS, np.full(len(ARCHS), 7.0), np.arange(len(ARCHS)),
        keys={"dataset": "cifar10"},
    )  # fmt: skip
    write_table(concat(column.to_table() for column in [*columns, published]), root / "tables" / "scores.parquet")
    sources = {proxies_table.SOURCE: proxies_table.RECORD, "published": proxies_table.RECORD}
    build_store([root / "tables" / "scores.parquet"], root / "store", "made-up", sources, root)
    return Benchmark(SPACE, [Store(root / "store")])


def test_real_scores_come_through_chunks(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from hwnasbench.proxies.evaluate import evaluate

    chunks = evaluation.jobs(SPACE, [7, 14], tmp_path, seeds=(0, 1))
    with ThreadPoolExecutor(1) as pool:
        evaluation.run(chunks, pool)
    found = proxies_table.read(chunks, SPACE.datasets)
    assert len(found) == 2 * 3 * 2
    assert (found["seconds"] > 0).all()
    row = found[(found.arch_index == 14) & (found.dataset == "ImageNet16-120") & (found.seed == 1)].iloc[0]
    names = ["params", "synflow", "naswot", "grad_norm"]
    expected = evaluate(SPACE, 14, "ImageNet16-120", names, seed=1)
    assert {name: row[name] for name in names} == expected


def test_processes_are_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(evaluation, "CHUNK", 1)
    monkeypatch.setattr(evaluation, "CHUNKS_OF_A_PROCESS", 1)
    chunks, said = evaluation.jobs(SPACE, [4, 7], tmp_path, seeds=(0,)), list[str]()
    evaluation.run_processes(chunks, 1, said.append)
    assert said == ["1/2 chunks", "2/2 chunks"]
    assert len(proxies_table.read(chunks, SPACE.datasets)) == 2 * 3
    evaluation.run_processes(chunks, 1, said.append)
    assert len(said) == 2


def test_times_are_those_of_one_processor() -> None:
    """Of two, the one that scatters less is kept, and the other's times are divided by how much slower it is."""
    rng = np.random.default_rng(0)
    first = {SPACE.canonical(int(index)): int(index) for index in np.flatnonzero(CONNECTED)[:600][::-1]}
    indices = sorted(first.values())[::3]
    scores = made_up(indices)
    macs = np.array([SPACE.network(SPACE.from_index(i), "cifar10").live().macs for i in scores["arch_index"]])
    on_slow = scores["arch_index"].to_numpy() % 3 == 0
    true = 0.1 + macs / 1e9
    noise = 1 + np.where(on_slow, 0.1, 0.02) * rng.standard_normal(len(scores))
    scores = scores.assign(
        seconds=true * noise * np.where(on_slow, 3.0, 1.0), machine=np.where(on_slow, "a slow one", "fast")
    )
    times = on_one_processor(SPACE, scores)
    np.testing.assert_array_equal(times.measured, ~on_slow)
    np.testing.assert_array_equal(times.seconds[~on_slow], scores["seconds"][~on_slow])
    assert times.ratios["fast"] == 1
    assert times.ratios["a slow one"] == pytest.approx(3.0, rel=0.03)
    np.testing.assert_allclose(times.seconds[on_slow], scores["seconds"][on_slow] / times.ratios["a slow one"])
    assert times.errors["fast"] == pytest.approx(0.02, rel=0.15)
    columns = proxies_table.columns(SPACE, scores, indices, times)
    kinds = {column.metric: np.array(column.kinds)[np.argsort(column.arch_index)] for column in columns}
    assert set(kinds["naswot"][indices]) == {"measured"}
    assert [kind == "estimated" for kind in kinds["proxy_time"][indices]] == [i % 3 == 0 for i in indices]


def test_one_processor_s_times_stay() -> None:
    scores = made_up([3, 7])
    times = on_one_processor(SPACE, scores)
    np.testing.assert_array_equal(times.seconds, scores["seconds"])
    assert times.measured.all()


def test_table_of_a_folder(tmp_path: Path) -> None:
    write_chunks(tmp_path / "chunks")
    made = proxies_table.collect(FEW, tmp_path / "chunks", tmp_path / "table.parquet")
    frame = read_table(tmp_path / "table.parquet").to_pandas()
    assert len(frame) == (len(METRICS) * 3 - 2) * 14
    assert frame.loc[frame["metric"] == "epe_nas", "dataset"].unique().tolist() == ["cifar10"]
    assert sorted(frame["metric"].unique()) == METRICS
    assert set(frame.loc[frame.arch_index.isin([10, 12]), "status"]) == {"disconnected"}
    copied = frame[frame.arch_index == 9].set_index(["metric", "dataset"])
    own = frame[frame.arch_index == 3].set_index(["metric", "dataset"])
    pd.testing.assert_frame_equal(copied[["value", "noise", "n"]], own[["value", "noise", "n"]])
    assert (set(copied["kind"]), set(copied["flags"])) == ({"estimated"}, {"copied"})
    assert set(own["kind"]) == {"measured"}
    assert own["flags"].isna().all()
    assert (made["chunks"], made["seeds"], made["torch"], list(made["machines"])) == (2, [0, 1], ["2.0"], ["here"])
    again = proxies_table.collect(FEW, tmp_path / "chunks", tmp_path / "again.parquet")
    assert again == made
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "table.parquet").read_bytes()


def test_incomplete_folder_is_refused_and_nothing_written(tmp_path: Path) -> None:
    chunks = write_chunks(tmp_path / "chunks")
    chunks[1][-1].unlink()
    with pytest.raises(SourceMissing, match=f"1 of 2 chunks are missing in .*chunks, {chunks[1][-1].name} the first"):
        proxies_table.collect(FEW, tmp_path / "chunks", tmp_path / "table.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["chunks"]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda frame: frame.iloc[:-1], "holds 59 rows; expected each of 60"),
        (lambda frame: frame.assign(seed=0), "holds 60 rows; expected each of 60"),
        (lambda frame: frame.assign(zen=frame["zen"].where(frame.index != 6)), "zen of architecture 1 is not finite"),
        (lambda frame: frame.drop(columns="zen"), "lacks the column 'zen'"),
    ],
)
def test_damaged_chunk_is_refused(tmp_path: Path, damage: Any, told: str) -> None:
    path = write_chunks(tmp_path / "chunks")[0][-1]
    pq.write_table(pa.Table.from_pandas(damage(pd.read_parquet(path)), preserve_index=False), path)
    with pytest.raises(CorruptFile, match=told):
        proxies_table.collect(FEW, tmp_path / "chunks", tmp_path / "table.parquet")


def test_cut_off_chunk_is_refused(tmp_path: Path) -> None:
    path = write_chunks(tmp_path / "chunks")[0][-1]
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(CorruptFile, match="cannot be read as Parquet"):
        proxies_table.collect(FEW, tmp_path / "chunks", tmp_path / "table.parquet")


def test_one_seed_has_no_noise() -> None:
    indices = evaluation.distinct(FEW)
    with pytest.raises(InvalidRequest, match="0 architectures without a score, 1 seeds"):
        list(proxies_table.columns(FEW, made_up(indices, seeds=(0,)), indices))
    with pytest.raises(InvalidRequest, match="1 architectures without a score, 2 seeds"):
        list(proxies_table.columns(FEW, made_up(indices[1:]), indices))


def test_rounding_keeps_the_range() -> None:
    values = np.array([0.0, -1 / 3, 1e45 / 3, 123456.789])
    found = rows.rounded(values)
    np.testing.assert_allclose(found, values, rtol=2**-24)
    assert (found != values).tolist() == [False, True, True, True]
    np.testing.assert_allclose(rows.rounded(values, np.float16), values, rtol=2**-11)


def test_plain_query_answers_from_own_scores(bench: Benchmark) -> None:
    result = bench.query(3, metrics=("naswot", "synflow", "proxy_time"))
    assert result["naswot"].source == result["synflow"].source == "hwnasbench-proxies"
    assert result["naswot"].keys == {"dataset": "cifar10", "input": "gaussian", "batch": 16}
    place = proxies.names().index("naswot")
    assert result.naswot == pytest.approx((3 + 1) * 10.0**place, rel=1e-7)
    assert result["naswot"].noise == pytest.approx(2**0.5 * 10.0**place, rel=1e-3)
    assert (result["naswot"].kind, result["naswot"].n, result["naswot"].flags) == ("measured", 2, ())
    assert result["naswot"].std is None
    assert result.synflow == pytest.approx(4e40, rel=1e-7)
    assert result["synflow"].noise == pytest.approx(2**0.5 * 1e40, rel=1e-3)
    assert result["proxy_time"].unit == "s"


def test_batch_of_a_device_is_not_that_of_proxies(bench: Benchmark) -> None:
    value = bench.query(3, device="pixel3", metrics=("naswot",))["naswot"]
    assert (value.source, value.flags, value.keys["batch"]) == ("hwnasbench-proxies", (), 16)


def test_copies_and_disconnected_cells_say_so(bench: Benchmark) -> None:
    value = bench.query(9, metrics=("zen",))["zen"]
    assert (value.value, value.kind) == (bench.query(3, metrics=("zen",)).zen, "estimated")
    assert value.flags == ("copied",)
    assert bench.query(DISCONNECTED, metrics=("zen",))["zen"].status == "disconnected"
    frame = bench.query_many(np.arange(len(SPACE)), metrics=("zen",), dataset="cifar100")
    assert (frame["zen_kind"] == "measured").sum() == 4929 + (~CONNECTED).sum()
    assert np.isfinite(frame["zen"].to_numpy(float)).sum() == CONNECTED.sum()


def test_published_scores_keep_their_keys(bench: Benchmark) -> None:
    value = bench.query(3, metrics=("naswot",), source="published")["naswot"]
    assert (value.value, value.keys["input"], value.keys["batch"]) == (7.0, None, None)
    assert set(value.flags) == {"assumed:input", "assumed:batch"}


def test_input_that_nobody_has_is_refused(bench: Benchmark) -> None:
    with pytest.raises(UnknownName, match="unknown input 'custom'; known: gaussian"):
        bench.query(3, metrics=("naswot",), input="custom")


def test_training_again_keeps_the_table(tmp_path: Path) -> None:
    from surrogates import shipping, training

    tables = tmp_path / "tables"
    tables.mkdir()
    for name in ("nasbench201_hwnasbench-proxies", "nasbench201_gone"):
        (tables / f"{name}.parquet").write_bytes(b"")
    training.write([], {}, tmp_path, partly=False)
    assert {path.stem for path in tables.iterdir()} >= {"nasbench201_hwnasbench-proxies"}
    assert not (tables / "nasbench201_gone.parquet").exists()
    assert proxies_table.SOURCE in shipping.OWN_RECORDS


def test_command_writes_table_record_and_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from surrogates import commands

    write_chunks(tmp_path / "chunks")
    monkeypatch.setattr("hwnasbench.spaces.get", lambda name: FEW)
    monkeypatch.setattr(Few, "enumerable", True, raising=False)
    derived: list[Path] = []
    monkeypatch.setattr(commands, "_derive_store", derived.append)
    commands.proxies("few", tmp_path / "chunks", data=tmp_path / "data")
    assert derived == [tmp_path / "data"]

    record = json.loads((tmp_path / "data" / "proxies.json").read_text("utf-8"))["nasbench201"]
    assert record["command"] == "hwnasbench proxies nasbench201 --from DIR"
    assert len(record["chunks_sha256"]) == 64
    assert (tmp_path / "data" / "tables" / "nasbench201_hwnasbench-proxies.parquet").is_file()


def test_spaces_too_large_are_refused(tmp_path: Path) -> None:
    from surrogates import commands

    with pytest.raises(InvalidRequest, match="'fbnet' is too large to score whole"):
        commands.proxies("fbnet", tmp_path, data=tmp_path / "data")
