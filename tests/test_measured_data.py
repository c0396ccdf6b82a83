"""What ships of the project's own measurements is what its raw samples give."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hwnasbench
from data_builders.build import file_digest
from data_builders.measure import additive, cells, published, report, report_cells, summary
from data_builders.measure.protocol import Samples
from data_builders.measure.raw import Chunk
from data_builders.measure.workloads import blocks, chains, graphs, parts
from hwnasbench import spaces
from hwnasbench.errors import CorruptFile, InvalidRequest, NoValue, SourceMissing
from hwnasbench.paths import PACKAGE_DATA
from hwnasbench.tables.write import read_table

pytest.importorskip("h5py")
FOLDER = Path(__file__).parents[1] / "measurements"
MADE = json.loads((PACKAGE_DATA / "measurements.json").read_text("utf-8"))["files"]
LOOKUPS = {name: made for name, made in MADE.items() if "correction" in made}
CELLS = sorted(MADE.keys() - LOOKUPS.keys())


@pytest.fixture(scope="module")
def found():
    return published.read(FOLDER)


def test_the_table_is_what_the_samples_give(found):
    table, made = published.lookups(found)
    assert made == LOOKUPS
    shipped = read_table(PACKAGE_DATA / "tables" / f"{published.SOURCE}_lookups.parquet")
    assert table.num_rows == shipped.num_rows
    for name in shipped.column_names:
        if name not in ("value", "std"):
            assert table[name].to_pylist() == shipped[name].to_pylist(), name
    for name in ("value", "std"):
        # Least squares end in another last digit on another processor.
        np.testing.assert_allclose(
            np.array(table[name].to_pylist(), float), np.array(shipped[name].to_pylist(), float), rtol=1e-9
        )


def test_the_files_are_those_that_were_read():
    for name, made in MADE.items():
        for file, digest in made["inputs"].items():
            assert file_digest(FOLDER / name.partition("/")[0] / file) == digest


@cache
def campaigns(space):
    return published.campaigns(space)


def test_the_samples_are_of_the_networks_that_they_should_be(found):
    for samples in found:
        expected = campaigns(samples.space)[samples.what]
        assert samples.frame["name"].tolist() == [network.name for network in expected]
        assert (samples.frame["status"] == "ok").all()
        assert (samples.frame["noise"] >= 0).all()


@pytest.mark.parametrize("name", sorted(LOOKUPS))
def test_a_query_answers_as_the_whole_networks_took(found, name):
    """The sum of blocks, corrected, is within the stated error of what was timed whole."""
    blocks_, networks = next(
        pair for pair in published.pairs(found) if f"{pair[0].path.parent.name}/{pair[0].path.stem}" == name
    )
    keys = {key: blocks_.keys[key] for key in ("engine", "threads", "batch", "precision")}
    bench = hwnasbench.load(networks.space, data="shipped")
    request = {"device": blocks_.keys["device"], "dataset": "imagenet", **keys}
    frame = bench.query_many(networks.frame["name"].tolist(), metrics=("latency",), **request)
    error = frame["latency"].to_numpy() / networks.frame["value"].to_numpy() - 1
    stated = MADE[name]["correction"]
    assert np.abs(error).mean() <= stated["mape"] * 1.01  # fitted to all of them, stated of held-out ones
    one = bench.query(networks.frame["name"][0], **request)["latency"]
    assert one.value == pytest.approx(frame["latency"][0], rel=1e-12)
    assert (one.kind, one.source, one.unit) == ("estimated", published.SOURCE, "ms")
    assert one.std == pytest.approx(stated["rmse"], rel=1e-4)
    assert "hwnasbench_measurements" in bench.cite(bench.query(networks.frame["name"][0], **request))


def test_what_was_not_timed_has_no_value():
    bench = hwnasbench.load("mobilenetv2", data="shipped")
    request = {"device": "epyc_zen4", "dataset": "imagenet", "metrics": ("latency",)}
    arch = bench.space.parse([0] * 17 + list(bench.space.trailing))
    narrow = bench.space.parse([0] * 19)
    assert bench.query(arch, **request).latency > 0
    value = bench.query(narrow, **request)["latency"]
    assert (value.value, value.status) == (None, "not_measured")
    with pytest.raises(NoValue):
        _ = bench.query(narrow, **request).latency
    frame = bench.query_many([arch, narrow], **request)
    assert frame["latency_status"].tolist() == ["ok", "not_measured"]
    assert np.isnan(frame["latency"][1])


def test_the_correction_is_found_again():
    rng = np.random.default_rng(0)
    sums, counts = rng.uniform(3, 9, 200), rng.integers(10, 22, 200).astype(float)
    whole = 0.3 - 0.01 * counts + 1.05 * sums
    made = additive.correct(sums, counts, whole)
    assert (made.start, made.block, made.factor) == pytest.approx((0.3, -0.01, 1.05))
    assert made.rmse < 1e-9
    assert made.spearman == pytest.approx(1)
    noisy = additive.correct(sums, counts, whole * rng.normal(1, 0.02, 200))
    assert 0.01 < noisy.mape < 0.025


@pytest.mark.parametrize("name", published.CHAINS)
def test_blocks_put_together_are_the_network(name):
    space = published.chain(name)
    trailing = tuple(getattr(space, "trailing", ()))
    known = {block.name: block for block in blocks(space, "imagenet", trailing)}
    for arch in chains(space, 20, 1, trailing):
        whole, found = space.network(arch, "imagenet"), parts(space, arch, "imagenet")
        assert (np.concatenate([part.layers for part in found]) == whole.layers).all()
        assert sum(len(part.edges) for part in found) == len(whole.edges)
        assert all(known[part.name].macs == part.macs for part in found)


def test_bad_folders(tmp_path):
    with pytest.raises(SourceMissing, match="no raw samples"):
        published.read(tmp_path)
    with pytest.raises(InvalidRequest, match="no space of chains"):
        published.chain("nasbench201")
    (tmp_path / "epyc_zen4").mkdir()
    (tmp_path / "epyc_zen4" / "fbnet-blocks-onnxruntime-fp32.h5").write_bytes(b"")
    with pytest.raises(CorruptFile):
        published.read(tmp_path)


def test_spreads_are_what_they_say():
    def process(factor, number, reference=None):
        seconds = np.array([[1.0, 2.0, 3.0]] * 4) * np.array([[1.0], [1.1], [1.0], [1.0]]) * factor
        samples = Samples(seconds, np.full((4, 2), reference or factor), np.ones(4, bool))
        return Chunk(["a", "b", "c"], ["ok"] * 3, samples, np.full(3, np.nan), {"pass": number})

    spread = summary.spread([[process(1.0, 0), process(1.2, 1)]])
    assert spread.between == pytest.approx(0, abs=1e-12)
    assert spread.uncorrected == pytest.approx(np.std([1, 1.2], ddof=1) / 1.1)
    assert spread.kendall == 1
    assert spread.first == pytest.approx(0, abs=1e-12)
    alike = [process(f, n, reference=1.0) for n, f in enumerate((1.5, 0.9, 1.1))]
    assert summary.spread([alike]).first == pytest.approx(0.5)
    assert np.isnan(summary.spread([[process(1.0, 0)]]).first)
    assert 0.06 < spread.within < 0.1


def test_the_cells_table_is_what_the_samples_give(found):
    table, made = published.cell_table(found)
    assert made == {name: MADE[name] for name in CELLS}
    shipped = read_table(PACKAGE_DATA / "tables" / f"{published.CELLS}_{published.SOURCE}.parquet")
    assert table.num_rows == shipped.num_rows
    for name in shipped.column_names:
        ours, theirs = table[name].to_pylist(), shipped[name].to_pylist()
        if name in ("value", "noise"):
            # The last of the digits that are kept may be rounded otherwise on another processor.
            np.testing.assert_allclose(np.array(ours, float), np.array(theirs, float), rtol=2**-10)
        else:
            assert ours == theirs, name


@pytest.mark.parametrize("name", CELLS)
def test_a_query_answers_as_the_cell_was_timed(found, name):
    (samples,) = (s for s in found if f"{s.path.parent.name}/{s.path.stem}" == name)
    bench = hwnasbench.load("nasbench201", data="shipped")
    keys = {key: samples.keys[key] for key in ("device", "engine", "threads", "batch", "precision")}
    request = {"dataset": cells.DATASETS[samples.what], **keys}
    timed = samples.frame.sample(20, random_state=0)
    for row in timed.itertuples():
        value = bench.query(row.name, **request)["latency"]
        assert value.value == pytest.approx(row.value, rel=1e-6)
        assert (value.kind, value.source, value.unit, value.flags) == ("measured", published.SOURCE, "ms", ())
        assert value.noise == pytest.approx(row.noise, rel=1e-3, abs=1e-9)
        live = bench.space.live_vector(row.name)
        others = [
            a for a in bench.space.neighbours(row.name) if bench.space.graph_key(a) == bench.space.graph_key(row.name)
        ]
        for other in others:
            copy = bench.query(other, **request)["latency"]
            assert (copy.value, copy.kind, copy.flags) == (value.value, "estimated", ("copied",))
            assert bench.space.live_vector(other) == live
    dead = bench.query("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", **request)["latency"]
    assert (dead.value, dead.status) == (None, "disconnected")


def test_one_hundred_classes_take_the_time_of_ten():
    bench = hwnasbench.load("nasbench201", data="shipped")
    request = {"device": "epyc_zen4", "metrics": ("latency",)}
    ten, hundred = (bench.query(6111, dataset=name, **request)["latency"] for name in ("cifar10", "cifar100"))
    assert ten.value == hundred.value
    assert (hundred.kind, hundred.flags) == ("estimated", ("copied",))


def test_swapped_forms_rank_alike(found):
    """Both forms were run: nothing but the noise tells them apart."""
    pairs = [pair for pair in report_cells.of_size(found) if pair[1] == cells.SWAPPED]
    assert pairs
    for first, _, second in pairs:
        agreed = cells.agreement(first.frame, second.frame)
        assert agreed.networks == cells.REPEATED
        least = report_cells.LEAST_OF_SWAPS if first.keys["precision"] == "fp32" else 0.9
        assert agreed.spearman >= least, (first.path, agreed)


def test_a_graph_that_was_not_timed_is_told(found):
    (samples, *_) = (s for s in found if s.what in cells.DATASETS)
    with pytest.raises(CorruptFile, match="connected cells were not timed"):
        cells.columns(samples.frame.iloc[1:], samples.keys, "cifar10", "s", 3)


def test_a_refused_cell_has_a_status(found):
    (samples, *_) = (s for s in found if s.what in cells.DATASETS)
    frame = samples.frame.copy()
    frame.loc[0, ["status", "value", "noise"]] = ["compile_failed: why", np.nan, np.nan]
    table = cells.columns(frame, samples.keys, "cifar10", "s", 3)[0].to_table().to_pandas()
    row = table[table["arch"] == frame["name"][0]].iloc[0]
    assert (row["status"], row["n"]) == ("compile_failed", 3)
    assert np.isnan(row["value"])


def test_repeats_that_differ_show_it():
    space = spaces.get("nasbench201")
    names = [space.format(arch) for arch in graphs(space)[:200]]
    starts = np.arange(200.0)
    first = pd.DataFrame({"name": names, "value": np.arange(1.0, 201.0), "begun": starts, "started": starts + 400})
    second = first.assign(value=first["value"] * 1.1, begun=first["begun"][::-1].to_numpy() + 7200)
    same = cells.agreement(first, second)
    assert (same.spearman, same.kendall) == (pytest.approx(1), pytest.approx(1))
    assert (same.difference, same.bias) == (pytest.approx(0.1), pytest.approx(0.1))
    assert same.hours == pytest.approx((7200 - 599) / 3600)
    turned = cells.agreement(first, first.assign(value=first["value"].to_numpy()[::-1]))
    assert turned.spearman == pytest.approx(-1)


def test_the_page_is_printed_from_the_samples(found):
    compare(report.page(found, {}), text().partition(report_cells.PUBLISHED_TEXT)[0])


def test_the_page_compares_with_published_processors(found, sources):
    compare(report.page(found, report_cells.published_columns(sources)), text())


def text():
    return (Path(__file__).parents[1] / "docs" / "measurements.md").read_text("utf-8")


def compare(page, known):
    ours, theirs = (re.split(r"(-?\d+\.\d+)", each.rstrip()) for each in (page, known))
    assert ours[::2] == theirs[::2]
    for mine, shown in zip(ours[1::2], theirs[1::2], strict=True):
        # Another processor may round a last digit the other way.
        assert float(mine) == pytest.approx(float(shown), rel=0, abs=1.01 * 10.0 ** -len(shown.partition(".")[2]))
