"""What ships: complete, of this project's own making, and equal to what its tables say."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import hwnasbench
from data_builders import proxies_table
from hwnasbench import spaces
from hwnasbench.paths import PACKAGE_DATA
from hwnasbench.tables.columns import ModelColumn
from hwnasbench.tables.store import DATA_FILE, INDEX_FILE, Store
from hwnasbench.tables.store_builder import build_shipped_store
from hwnasbench.vocabulary import METRICS
from surrogates.shipping import OWN_RECORDS

ROOT = Path(__file__).parent.parent
TABLES = sorted((PACKAGE_DATA / "tables").glob("*.parquet"))
STORE = Store(PACKAGE_DATA / "store")


def benches() -> list[hwnasbench.Benchmark]:
    return [hwnasbench.load(name, data="shipped") for name in spaces.names()]


def test_the_store_is_the_tables_to_the_byte(tmp_path: Path) -> None:
    for name in ("tables", "models"):
        (tmp_path / name).symlink_to(PACKAGE_DATA / name)
    fingerprint = build_shipped_store(tmp_path, STORE.release, STORE.sources)
    assert fingerprint == STORE.fingerprint
    for name in (INDEX_FILE, DATA_FILE):
        assert (tmp_path / "store" / name).read_bytes() == (PACKAGE_DATA / "store" / name).read_bytes()


def test_the_store_knows_which_tables_it_is_of() -> None:
    files = [*TABLES, *(PACKAGE_DATA / "models" / "columns").glob("*.npz")]
    found = {path.relative_to(PACKAGE_DATA).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert STORE.inputs == found


def test_the_changelog_names_release_and_fingerprint() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    section = text.split(f"## Data {STORE.release}")[1].split("\n## ")[0]
    assert STORE.fingerprint in section


def test_no_published_row_ships() -> None:
    for path in TABLES:
        if path.stem == "intervals":  # quantiles of residuals, and no row of anything
            continue
        table = pq.read_table(path, columns=["kind", "source"]).to_pandas().drop_duplicates()
        published = table[~table["source"].isin(OWN_RECORDS)]
        assert set(published["kind"]) <= {"predicted", "simulated"}, path


def test_the_package_is_small_enough_for_a_wheel() -> None:
    import zlib

    packed = sum(len(zlib.compress(p.read_bytes(), 6)) for p in ROOT.joinpath("hwnasbench").rglob("*") if p.is_file())
    assert packed < 29e6


@pytest.mark.parametrize("bench", benches(), ids=lambda b: b.space.name)
def test_every_column_answers_for_every_architecture(bench: hwnasbench.Benchmark) -> None:
    """Every (device, data set, metric, precision) of the sources, for every architecture of the space."""
    space = bench.space
    rng = np.random.default_rng(0)
    archs = np.arange(len(space)) if space.enumerable else space.sample_many(rng, 2000)
    for column in bench.all_columns():
        keys = {k: v for k, v in column.keys.items() if v is not None and k != "device"}
        request = {"device": column.keys["device"], "source": column.source, "kinds": column.kinds, **keys}
        frame = bench.query_many(archs, metrics=(column.metric,), **request)
        values, status = frame[column.metric].to_numpy(float), frame[f"{column.metric}_status"]
        assert np.isfinite(values[status == "ok"]).all(), column
        scope = METRICS[column.metric].scope
        if scope == "device":
            assert (values[status == "ok"] > 0).all(), column
        if space.enumerable and scope in ("device", "proxy"):
            assert (status == "disconnected").sum() == 341, column
            assert (status == "ok").sum() == len(space) - 341, column
        elif getattr(column, "partial", False):
            assert set(status) == {"ok", "not_measured"}, column
        else:
            assert (status == "ok").all(), column
        if column.metric == "accuracy":
            assert ((values >= 0) & (values <= 100)).all(), column
        one = int(archs[77]) if space.enumerable else archs[77]
        value = bench.query(one, metrics=(column.metric,), **request)[column.metric]
        if value.status == "ok":
            # One row may be added up in another order than many, by some processors; small networks add float32.
            rel = 1e-7 if isinstance(column, ModelColumn) else 1e-14
            assert value.value == pytest.approx(frame[column.metric][77], rel=rel, abs=0)
            assert value.unit == METRICS[column.metric].unit
            assert value.std is not None or value.source == proxies_table.SOURCE or value.noise is not None
            assert value.source in bench.sources


@pytest.mark.parametrize("bench", benches(), ids=lambda b: b.space.name)
def test_every_device_answers_a_plain_query(bench: hwnasbench.Benchmark) -> None:
    from hwnasbench.errors import AmbiguousQuery

    arch = bench.space.parse(6111) if bench.space.enumerable else bench.space.sample(np.random.default_rng(1))
    ambiguous = []
    for device in bench.devices():
        try:
            value = bench.query(arch, device=device)["latency"]
            gaps = ("does_not_fit", "unsupported_layer", "not_measured")
            assert (value.value or 0) > 0 or value.status in gaps, device
        except AmbiguousQuery:
            ambiguous.append(device.name)
    # These two were measured on three data sets, none of them the default one.
    assert ambiguous == (["pixel_unnamed", "raspi5"] if bench.space.name == "nasbench201" else [])


def test_accuracies_at_every_epoch_split_and_precision() -> None:
    bench = hwnasbench.load("nasbench201", data="shipped")
    for dataset in ("cifar10", "cifar100", "ImageNet16-120"):
        for split, epochs in (("test", 200), ("test", 12), ("valid", 12)):
            assert bench.query(6111, dataset=dataset, split=split, epochs=epochs).accuracy > 30
    assert bench.query(6111, split="valid").accuracy > 80
    for request in (
        {"precision": "int8"},
        {"precision": "int8", "recipe": "qat"},
        {"precision": "analog"},
        {"precision": "analog", "recipe": "hwat_drift_30d"},
        {"precision": "analog", "recipe": "noisy"},
        {"recipe": "analognas"},
    ):
        assert bench.query(6111, metrics="accuracy", **request).accuracy > 60


def test_every_cited_source_has_bibtex_and_licence() -> None:
    for name, record in STORE.sources.items():
        assert record["citation"].startswith("@"), name
        assert record["licence"], name


@pytest.mark.parametrize("bench", benches(), ids=lambda b: b.space.name)
def test_bibtex_keys_stand_but_once(bench: hwnasbench.Benchmark) -> None:
    keys = re.findall(r"^@\w+\{([^,]+),", bench.cite(), re.MULTILINE)
    # The paper of NAS-Bench-Macro's space is that of its one source.
    alone = bench.space.name == "nasbench_macro" or not bench.all_columns()
    assert len(keys) == len(set(keys)) >= (2 if alone else 3)


def test_docs_are_up_to_date() -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import make_docs
    finally:
        sys.path.pop(0)
    assert make_docs.PAGE.read_text("utf-8") == make_docs.page()


def test_links_between_documents_hold() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.joinpath("docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_query_prints_what_the_readme_says() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    shown = text.split("```text\n")[1].split("```")[0]
    from io import StringIO

    from rich.console import Console

    from hwnasbench.commands import table_of

    result = hwnasbench.load("nasbench201", data="shipped").query(
        6111, device="pixel3", metrics=("accuracy", "latency")
    )
    out = StringIO()
    Console(file=out, width=110).print(table_of(result))
    assert [line.rstrip() for line in out.getvalue().splitlines()] == shown.splitlines()


def test_versions_agree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert hwnasbench.__version__ == version
    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_manifest_says_what_the_data_was_made_from() -> None:
    manifest = json.loads((PACKAGE_DATA / "manifest.json").read_text("utf-8"))
    assert manifest["release"] == STORE.release
    assert re.fullmatch(r"[0-9a-f]{40}", manifest["commit"])
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in manifest["inputs"].values())
    assert len(manifest["inputs"]) > 80


def test_the_demo_draws_the_front(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "demo.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "Pareto front of pixel3" in done.stdout
    picture = tmp_path / "demo-output" / "pareto_pixel3.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
