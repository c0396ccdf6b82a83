"""The arrows between the rooms, the sizes of modules, and what a fresh import costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("hwnasbench", "data_builders", "surrogates")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

#: What each room of hwnasbench may import, besides itself. Base modules are open to all.
BASE = {"errors", "vocabulary", "paths", "ranking"}
ROOMS: dict[str, set[str]] = {
    "networks": set(),
    "spaces": {"networks"},
    "devices": {"networks", "spaces"},
    "costs": {"networks", "spaces", "devices"},
    "tables": {"networks", "spaces", "devices", "predictors"},
    "predictors": {"networks", "spaces", "devices"},
    # A comparison of proxies reads accuracies and the shipped scores from the benchmark.
    "proxies": {"networks", "spaces", "benchmark"},
    # A problem is given its benchmark, and reads of it what searchers look at.
    "search": {"spaces", "tables", "predictors", "predicted", "benchmark", "vectors"},
    # Other libraries see what a searcher sees, and nothing beside it.
    "integrations": {"search"},
    # Studies run searches, keep them as tables, and look at the benchmark's spaces.
    "studies": {"search", "spaces", "devices", "tables", "benchmark", "vectors", "executors"},
    # Beside the benchmark: it reads the columns of known devices, and brings one of its own.
    "onboarding": {"spaces", "devices", "predictors", "tables", "benchmark", "plan", "simulated", "vectors"},
}
#: What stands above the benchmark: no module outside a room imports it but the command line.
ABOVE = {"search", "integrations", "studies"}
COMMANDS = {"cli.py", "commands.py"}


def runtime(node: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs: a name imported for annotations alone is no arrow."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from runtime(child)


def imports(path: Path) -> set[str]:
    found = set()
    for node in runtime(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_point_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    for name in imports(path):
        if package == "hwnasbench":
            assert name.split(".")[0] not in ("data_builders", "surrogates"), f"{path} imports {name}"
        if package == "data_builders":
            assert name.split(".")[0] != "surrogates", f"{path} imports {name}"
    parts = path.relative_to(ROOT).parts
    if package == "hwnasbench" and len(parts) == 2 and parts[1] not in COMMANDS:
        for name in imports(path):
            assert not name.startswith("hwnasbench.") or room(name) not in ABOVE, f"{path} imports {name}"
    if package == "hwnasbench" and len(parts) > 2:
        allowed = ROOMS[parts[1]] | {parts[1]} | BASE
        for name in imports(path):
            if name.startswith("hwnasbench."):
                assert room(name) in allowed, f"{path} imports {name}: {parts[1]} may use {sorted(allowed)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_are_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400


def test_importing_a_package_is_light() -> None:
    code = (
        "import sys, hwnasbench, hwnasbench.spaces, hwnasbench.devices, hwnasbench.networks\n"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'torch', 'xgboost', 'typer', 'rich', 'pooch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "[]"


def test_the_core_needs_no_extra() -> None:
    """Everything a query needs runs with NumPy, pandas and pyarrow alone."""
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        extras = ('xgboost', 'torch', 'scipy', 'sklearn', 'matplotlib', 'typer', 'rich', 'pooch')\n"
        "        if name.split('.')[0] in extras:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import hwnasbench\n"
        "bench = hwnasbench.load('nasbench201', data='shipped')\n"
        "bench.query(0, device='pixel3').latency\n"
        "bench.query_many([0, 1], device='pixel3', metrics=('latency', 'accuracy'))\n"
        "bench.pareto(('accuracy', 'latency'), device='pixel3')\n"
        "bench.coverage(); bench.cite()\n"
        "print(hwnasbench.load('fbnet', data='shipped').query([0] * 22, device='pixel3').latency > 0)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "True"
