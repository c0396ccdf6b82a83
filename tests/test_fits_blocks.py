"""Devices fitted to tables of blocks and layers, and ProxylessNAS's look-up table built as a user builds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import hwnasbench
from data_builders.build import build
from data_builders.operators import ofa_luts, tinynas_v100
from hwnasbench import spaces
from hwnasbench.costs import model, values_of
from hwnasbench.costs.layers import Layers
from hwnasbench.devices import catalog
from hwnasbench.devices.parameters import fit_of
from hwnasbench.errors import CorruptFile
from hwnasbench.tables.schema import LOOKUPS
from hwnasbench.tables.store_builder import build_store
from hwnasbench.tables.write import write_table
from surrogates.fidelity import blocks as section
from surrogates.fits import MODULES, Fit, blocks, samples
from surrogates.fits.samples import Stack


@pytest.fixture
def pixel1(sources: Path) -> Fit:
    text = "ofa_luts: proxylessnas/mobile_trim.yaml"
    return blocks.fit_device("pixel1", {"blocks": blocks.pixel1(sources)}, text)


def test_the_module_is_registered() -> None:
    assert "blocks" in MODULES


@pytest.mark.sources
def test_the_shipped_fit_of_the_pixel1_is_what_fitting_gives(pixel1: Fit) -> None:
    shipped = fit_of("pixel1")
    assert shipped["parameters"].keys() == pixel1.parameters.keys()
    for name, value in pixel1.parameters.items():
        assert shipped["parameters"][name]["value"] == pytest.approx(value, rel=1e-3), name
    (card,), (found,) = shipped["scorecards"], pixel1.scorecards
    assert (card["n"], card["folds"]) == (72, 5)
    for key in ("mape", "median_error", "spearman", "r2_log"):
        assert card[key] == pytest.approx(found[key], rel=1e-3), key


@pytest.mark.sources
@pytest.mark.slow
def test_the_shipped_fit_of_the_note10_is_what_fitting_gives(sources: Path) -> None:
    found = blocks.fit_device("note10", {"blocks": blocks.note10(sources)}, "")
    for name, value in found.parameters.items():
        assert fit_of("note10")["parameters"][name]["value"] == pytest.approx(value, rel=1e-3), name
    assert fit_of("note10")["scorecards"][0]["mape"] == pytest.approx(found.scorecards[0]["mape"], rel=1e-3)


@pytest.mark.sources
def test_a_fold_never_sees_its_own_block(sources: Path) -> None:
    """One block at five image sizes is in one fold, as is one convolution at four batches."""
    sample = blocks.note10(sources)
    rows = [row for size in ofa_luts.NOTE10 for row in ofa_luts.note10(sources / "ofa_luts", size)]
    by_block: dict[str, set[int]] = {}
    for row, fold in zip(rows, sample.fold.tolist(), strict=True):
        layers = row.network.layers
        key = str(layers[["op", "in_channels", "out_channels", "kernel", "stride", "groups", "activation"]].tolist())
        by_block.setdefault(key, set()).add(fold)
    assert len(by_block) == 96
    assert all(len(found) == 1 for found in by_block.values())


@pytest.mark.sources
@pytest.mark.parametrize("precision", tinynas_v100.FILES)
def test_the_v100_is_as_wrong_on_other_convolutions_as_shipped(sources: Path, precision: str) -> None:
    """Convolutions that the fit did not draw, for the most part."""
    known = [row for row in tinynas_v100.rows(sources / "tinynas_v100", precision) if row.latency]
    rows = [known[number] for number in np.random.default_rng(7).permutation(len(known))[:2000]]
    batch = [row.batch for row in rows]
    names = [str(number) for number in range(len(rows))]
    networks = [row.network(precision) for row in rows]
    sample = Stack(networks, (float(row.latency or 0) for row in rows), names, batch)
    error = np.abs(samples.latency(catalog()["v100_tensorrt"], sample) / sample.values - 1)
    card = next(c for c in fit_of("v100_tensorrt")["scorecards"] if c["precision"] == precision)
    # The spread of a mean over 2,000 rows whose errors' spread is about their mean: 3 standard errors.
    room = 3 * error.std() / np.sqrt(len(error)) * np.sqrt(1 + len(error) / card["n"])
    assert 100 * error.mean() == pytest.approx(card["mape"], abs=100 * room)


@pytest.mark.sources
def test_a_roofline_never_finds_a_larger_convolution_cheaper(sources: Path) -> None:
    """What the section says of the fitted model, against its table's own rows."""
    rows = [r for r in tinynas_v100.rows(sources / "tinynas_v100", "fp16") if r.size in (14, 56) and r.batch < 64]
    networks = [row.network("fp16") for row in rows]
    names = [str(number) for number in range(len(rows))]
    sample = Stack(networks, np.ones(len(rows)), names, [row.batch for row in rows])
    guess = samples.latency(catalog()["v100_tensorrt"], sample)
    simulated = [(row.key, value) for row, value in zip(rows, guess.tolist(), strict=True)]
    for field in (1, 2, 3, 4, 5, 7):
        assert section._violated(simulated, field).endswith("| 0.0% | 0.0%"), field
    timed = [(row.key, row.latency) for row in rows if row.latency]
    assert not section._violated(timed, 4).endswith("| 0.0% | 0.0%")


@pytest.mark.sources
def test_the_xeon_adds_up_a_table(sources: Path) -> None:
    """Networks that the fit did not draw: the error that the scorecard gives, and no overhead of a call."""
    from data_builders.operators import tfnas

    table = tfnas.table(sources / "tfnas", "xeon_6130")
    rng = np.random.default_rng(11)
    chosen = [tfnas.draw(table, rng) for _ in range(300)]
    values = values_of(catalog()["xeon_6130"])
    roofline = model("roofline")
    assert roofline.overhead(values) == 0
    guess = [roofline.cost(Layers(tfnas.network(c).layers), values).latency.sum() for c in chosen]
    error = np.abs(np.array(guess) / np.array([table.latency(c) for c in chosen]) - 1)
    (card,) = fit_of("xeon_6130")["scorecards"]
    room = 3 * error.std() / np.sqrt(len(error)) * np.sqrt(1 + len(error) / card["n"])
    assert 100 * error.mean() == pytest.approx(card["mape"], abs=100 * room)


# -- the look-up table of ProxylessNAS on a Pixel 1 -----------------------------------------------


def _by_hand(path: Path) -> dict[str, float]:
    """Read a table as a person does: a name, and the mean below it."""
    found, name = {}, ""
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith(" "):
            name = line.rstrip(":")
        elif line.strip().startswith("mean:"):
            found[name] = float(line.split(":")[1])
    return found


@pytest.mark.sources
def test_a_built_look_up_is_the_sum_of_the_published_blocks(sources: Path, tmp_path: Path, monkeypatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("HWNASBENCH_HOME", str(home))
    build(["ofa_luts"], home=home, sources=sources)
    table = _by_hand(sources / "ofa_luts" / ofa_luts.PIXEL1)
    space = spaces.get("proxylessnas")
    bench = hwnasbench.load("proxylessnas", data="built")
    archs = [space.sample(np.random.default_rng(seed)) for seed in range(50)]
    assert any("zero" in str(arch) for arch in archs)
    together = bench.query_many([arch.vector for arch in archs], device="pixel1", metrics=["latency"])
    for row, arch in enumerate(archs):
        total = table["Conv-input:224x224x3-output:112x112x32"] + table["Conv_1-input:7x7x320-output:7x7x1280"]
        total += table["Logits-input:7x7x1280-output:1000"]
        total += table["expanded_conv-input:112x112x32-output:112x112x16-expand:1-kernel:3-stride:1-idskip:0"]
        size, channels = 112, 16
        for position, word in enumerate(str(arch).split("_")):
            out = (24, 40, 80, 96, 192, 320)[position // 4]
            stride = 2 if position % 4 == 0 and out not in (96, 320) else 1
            if word != "zero":
                skip = int(stride == 1 and channels == out)
                total += table[
                    f"expanded_conv-input:{size}x{size}x{channels}-output:{size // stride}x{size // stride}x{out}"
                    f"-expand:{word[3]}-kernel:{word[1]}-stride:{stride}-idskip:{skip}"
                ]
            size, channels = size // stride, out
        value = bench.query(arch, device="pixel1")["latency"]
        assert value.value == pytest.approx(total, rel=1e-12)
        assert value.value == together["latency"].iloc[row]
        assert (value.kind, value.source) == ("estimated", "ofa_luts")
        assert "inferred_unit" in value.flags


@pytest.mark.sources
def test_a_table_that_lacks_a_block_is_refused(sources: Path, tmp_path: Path) -> None:
    from data_builders.catalog import Folder, get
    from data_builders.sources.ofa_luts import lookups

    text = (sources / "ofa_luts" / ofa_luts.PIXEL1).read_text("utf-8")
    path = tmp_path / ofa_luts.PIXEL1
    path.parent.mkdir()
    path.write_text(text[: text.rindex("expanded_conv")], "utf-8")
    with pytest.raises(
        CorruptFile, match="lacks the block expanded_conv-input:7x7x192-output:7x7x320-expand:6-kernel:7"
    ):
        lookups(Folder(get("ofa_luts"), tmp_path))


@pytest.mark.sources
@pytest.mark.parametrize("damage", ["lacks a cost", "costs what no network has"])
def test_a_store_has_a_cost_for_every_choice_and_no_other(sources: Path, tmp_path: Path, damage: str) -> None:
    from data_builders.catalog import Folder, get
    from data_builders.sources.ofa_luts import lookups

    table = lookups(Folder(get("ofa_luts"), sources / "ofa_luts"))["proxylessnas"]
    rows = table.to_pylist()
    path = tmp_path / "proxylessnas.parquet"
    write_table(table, path)
    build_store([path], tmp_path / "whole", None, {}, tmp_path)
    # The first block of a stage cannot be nothing: it has six choices, not seven.
    changed = rows[:-1] if damage == "lacks a cost" else [*rows, {**rows[-1], "position": 0, "choice": 6}]
    write_table(pa.Table.from_pylist(changed, schema=LOOKUPS), path)
    with pytest.raises(CorruptFile, match="one intercept and 141 costs"):
        build_store([path], tmp_path / "damaged", None, {}, tmp_path)


def test_the_section_without_published_files() -> None:
    assert "absent" in section.section(None)
