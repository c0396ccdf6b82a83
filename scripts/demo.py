"""What networks cost on many devices, a search under a latency limit, a study of three, and a Pareto picture."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import hwnasbench
from hwnasbench import search, studies
from hwnasbench.search import indicators
from hwnasbench.search.objectives import Constrained, Metric

DEVICES = ("pixel3", "raspi4", "edgegpu", "jetson_nano", "edgetpu", "fpga", "eyeriss", "2080ti")
FBNET_DEVICES = ("pixel3", "raspi4", "eyeriss", "fpga", "2080ti", "gold_6226")
LIMIT_MS = 10.0
OUT = Path("demo-output")
STUDY = Path(__file__).parent.parent / "studies" / "demo.toml"


def show_queries(console: Console, bench: hwnasbench.Benchmark, arch: object, devices: tuple[str, ...]) -> None:
    """Print one architecture on several devices: every number with unit, spread, kind and source."""
    table = Table(title=f"{bench.space.title}: {bench.space.format(arch)}")
    for heading in ("device", "metric", "value", "std", "kind", "source", "flags"):
        table.add_column(heading)
    for device in devices:
        result = bench.query(arch, device=device)
        for metric in ("accuracy", "latency"):
            value = result[metric]
            shown = value.status if value.value is None else f"{value.value:.3f} {value.unit}"
            spread = "" if value.std is None else f"{value.std:.2g}"
            kind = f"{value.kind} of {value.of}" if value.of else value.kind or ""
            table.add_row(device, metric, shown, spread, kind, value.source or "", ", ".join(value.flags))
    console.print(table)


def find(console: Console, bench: hwnasbench.Benchmark) -> None:
    """Search for the most accurate network under the latency limit; the search sees validation accuracy only."""
    start = time.perf_counter()
    problem = search.Problem(bench, Constrained(Metric("accuracy"), {"latency": LIMIT_MS}), device="pixel3")
    run = search.run("local_search", problem, queries=300, seed=0)
    took, found = time.perf_counter() - start, bench.query(run.best, device="pixel3")
    console.print(
        f"Local search, at most {LIMIT_MS:g} ms on pixel3: {len(run)} architectures in {took * 1e3:.0f} ms; found "
        f"{found.arch}: {found.accuracy:.2f} % test, {found.latency:.2f} ms; regret "
        f"{indicators.regret(run)[-1]:.2f} %"
    )


def compare(console: Console) -> None:
    """Run a small study of three searchers, and write its report."""
    folder = OUT / STUDY.stem
    start = time.perf_counter()
    studies.run(studies.read(STUDY), folder, jobs=1)
    console.print(f"Study of {STUDY.stem}: {studies.report(folder)} in {time.perf_counter() - start:.0f} s")


def draw_front(bench: hwnasbench.Benchmark, device: str, path: Path) -> int:
    """Draw accuracy against latency of the whole space, and its Pareto front."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    latency, accuracy = bench.column("latency", device=device), bench.column("accuracy")
    front = bench.pareto(("accuracy", "latency"), device=device)
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    axes.scatter(latency, accuracy, s=3, alpha=0.25, color="0.6", label=f"{np.isfinite(latency).sum():,} architectures")
    axes.step(front["latency"], front["accuracy"], where="pre", color="C3", lw=1)
    axes.scatter(front["latency"], front["accuracy"], s=14, color="C3", label=f"Pareto front ({len(front)})", zorder=3)
    value = bench.query(0, device=device)["latency"]
    axes.set(
        xlabel=f"latency on {device} [ms] ({value.kind}, {value.source})",
        ylabel="CIFAR-10 test accuracy after 200 epochs [%]",
        ylim=(80, 95),
        title=f"NAS-Bench-201 on {device}; data release {bench.release}",
    )
    axes.legend(loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": "hwnasbench"})
    plt.close(figure)
    return len(front)


def main() -> None:
    """Run the demonstration."""
    console = Console(width=150)
    bench = hwnasbench.load("nasbench201", data="shipped")
    show_queries(console, bench, 6111, DEVICES)
    fbnet = hwnasbench.load("fbnet", data="shipped")
    show_queries(console, fbnet, [3, 7] * 11, FBNET_DEVICES)

    find(console, bench)
    compare(console)
    size = draw_front(bench, "pixel3", OUT / "pareto_pixel3.png")
    console.print(
        f"Pareto front of pixel3: {size} of {len(bench.space):,} architectures, in {OUT / 'pareto_pixel3.png'}"
    )
    console.print(f"Data release {bench.release}, fingerprint {bench.fingerprint[:16]}. To cite: bench.cite(result)")


if __name__ == "__main__":
    main()
