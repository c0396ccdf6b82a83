"""The command line, run as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import hwnasbench

COMMAND = Path(sys.executable).with_name("hwnasbench")


def run(*arguments: str, code: int = 0, columns: int = 80) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": str(columns)}
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == code, done.stderr + done.stdout
    return done


def test_query_prints_what_the_api_says() -> None:
    out = json.loads(run("query", "6111", "--device", "pixel3", "--data", "shipped", "--json").stdout)
    result = hwnasbench.load("nasbench201", data="shipped").query(6111, device="pixel3")
    assert out == json.loads(json.dumps(result.to_dict()))


def test_query_reads_strings_and_keys() -> None:
    bench = hwnasbench.load("nasbench201", data="shipped")
    arch = bench.space.format(6111)
    out = json.loads(
        run("query", arch, "-d", "2080ti", "--batch", "256", "-m", "latency", "--data", "shipped", "--json").stdout
    )
    assert out["metrics"]["latency"]["value"] == bench.query(arch, device="rtx_2080ti", batch=256).latency
    assert list(out["metrics"]) == ["latency"]


def test_query_prints_a_table_for_people() -> None:
    out = run("query", "6111", "-d", "pixel3", "--data", "shipped", columns=120).stdout
    for word in ("accuracy", "latency", "ms", "predicted", "help", "release"):
        assert word in out


def test_query_reads_foreign_notations() -> None:
    space = hwnasbench.load("nasbench201", data="shipped").space
    naslib = space.format(6111, notation="naslib")
    out = run("query", naslib, "--notation", "naslib", "--data", "shipped", "--json").stdout
    assert json.loads(out)["request"]["arch"] == space.format(6111)


def test_narrow_tables_keep_their_numbers() -> None:
    out = run("query", "6111", "-d", "pixel3", "--data", "shipped", columns=60).stdout
    assert "27.179" in out.replace("\n", "")


def test_query_of_fbnet() -> None:
    arch = "_".join(["3"] * 22)
    out = json.loads(run("query", arch, "--space", "fbnet", "-d", "pixel3", "--data", "shipped", "--json").stdout)
    assert out["metrics"]["latency"]["unit"] == "ms"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("query", "0", "-d", "pixl3"), "'pixel3'"),
        (("query", "99999"), "0 to 15624"),
        (("query", "--", "-5"), "0 to 15624"),
        (("query", "--", "--5"), "unknown operator"),
        (("query", "|nor_conv_3x3~0|"), "expected the form"),
        (("query", "0", "--space", "nasbench21"), "'nasbench201'"),
        (("query", "0", "-d", "pixel3", "-m", "latancy"), "'latency'"),
        (("query", "0", "-d", "raspi5"), "name dataset="),
        (("query", "0", "-d", "pixel3", "-m", "area"), "no column answers"),
        (("cite", "hepl"), "'help'"),
    ],
)
def test_errors_are_one_line_and_exit_1(arguments: tuple[str, ...], says: str) -> None:
    done = run(arguments[0], "--data", "shipped", *arguments[1:], code=1)
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_bad_usage_exits_2() -> None:
    run("query", code=2)
    run("query", "0", "--nonsense", code=2)
    run("nonsense", code=2)


def test_devices_and_spaces() -> None:
    devices = json.loads(run("devices", "--data", "shipped", "--json").stdout)
    assert {"pixel3", "raspi4", "edgetpu"} <= {d["name"] for d in devices}
    spaces = json.loads(run("spaces", "--json").stdout)
    assert {s["name"]: s["architectures"] for s in spaces}.items() >= {"fbnet": 9**22, "nasbench201": 15625}.items()
    assert "pixel3" in run("devices", "--data", "shipped").stdout
    assert "fbnet" in run("spaces").stdout


def test_cite_is_bibtex() -> None:
    out = run("cite", "help", "--data", "shipped").stdout
    assert out.count("@") >= 3
    assert out.count("{") == out.count("}")


def test_help_lists_every_command() -> None:
    out = run("--help").stdout
    for name in ("query", "devices", "spaces", "sources", "fetch", "build", "enumerate", "cite", "train"):
        assert name in out


def test_without_typer_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; from hwnasbench.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "hwnasbench[cli]" in done.stderr
