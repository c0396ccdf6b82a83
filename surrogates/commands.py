"""The subcommands ``train``, ``proxies`` and ``measurements``: they remake the data that ships inside the package."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwnasbench.errors import InvalidRequest
from hwnasbench.paths import PACKAGE_DATA, home

if TYPE_CHECKING:
    from surrogates.columns import Column
    from surrogates.training import Trained


def train(
    chosen: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COLUMN]...", help="Train only columns whose name contains one of these texts."),
    ] = None,
    sources: Annotated[
        Path | None, typer.Option("--from", help="Folder of published files, one folder a source.")
    ] = None,
    tables: Annotated[Path | None, typer.Option(help="Folder of built tables, instead of building them.")] = None,
    data: Annotated[Path, typer.Option(help="Where to write; the package's own data by default.")] = PACKAGE_DATA,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 2,
) -> None:
    """Train surrogates on the published values and write the tables and scorecards that ship.

    Without COLUMN everything is remade: the tables of the sources under --from are built in a
    temporary folder, every column is trained, and the column store is derived.
    """
    from surrogates import shipping
    from surrogates.training import plan, write

    if tables is not None and sources is not None:
        raise InvalidRequest("--from and --tables contradict each other; give one of them")
    with tempfile.TemporaryDirectory(prefix="hwnasbench-train-") as temporary:
        if tables is None:
            tables = Path(temporary) / "tables"
            _build(sources, Path(temporary))
        inputs = shipping.inputs_of(tables)
        todo = plan(tables, chosen or ())
        trained = _train(todo.columns, workers)
    write(trained, todo.skipped, data, partly=bool(chosen))
    shipping.write_json(data / "manifest.json", shipping.manifest(inputs, chosen or []))
    _derive_store(data)


def proxies(
    space: Annotated[str, typer.Argument(help="Name of an enumerable space.")] = "nasbench201",
    chunks: Annotated[
        Path | None, typer.Option("--from", help="Folder of the evaluation's files; in the data folder by default.")
    ] = None,
    evaluate: Annotated[bool, typer.Option("--evaluate", help="First make the files that are not there.")] = False,
    data: Annotated[Path, typer.Option(help="Where to write; the package's own data by default.")] = PACKAGE_DATA,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes that evaluate.")] = 2,
) -> None:
    """Write the table of zero-cost proxies that ships, from an evaluation on every function of a space.

    A killed evaluation resumes. Without --evaluate a folder that lacks a file is refused.
    """
    from data_builders import proxies as evaluation
    from hwnasbench import spaces
    from surrogates import shipping

    found, folder = spaces.get(space), chunks or home() / "proxies" / space
    if not found.enumerable:
        raise InvalidRequest(f"{space!r} is too large to score whole; expected an enumerable space")
    if evaluate:
        evaluation.run_processes(evaluation.jobs(found, evaluation.distinct(found), folder), workers, typer.echo)
    path = shipping.write_proxies(found, folder, data)
    _derive_store(data)
    typer.echo(f"proxies of {space} in {path}")


def measurements(
    samples: Annotated[Path, typer.Option("--from", help="Folder of raw samples, one folder a device.")],
    data: Annotated[Path, typer.Option(help="Where to write; the package's own data by default.")] = PACKAGE_DATA,
) -> None:
    """Write the tables that ship of this project's own measurements, from their raw samples."""
    from surrogates import shipping

    paths = shipping.write_measurements(samples, data)
    _derive_store(data)
    for path in paths:
        typer.echo(f"measurements in {path}")


def _train(todo: list[Column], workers: int) -> list[Trained]:
    """Train under a progress bar on standard error; each finished column is printed above it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from surrogates.training import train_columns

    shown = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*shown, console=Console(stderr=True)) as progress:
        task = progress.add_task("training", total=len(todo))

        def advance(column: Column) -> None:
            progress.console.print(column.name, highlight=False, soft_wrap=True)
            progress.advance(task)

        return train_columns(todo, workers, advance)


def _build(sources: Path | None, folder: Path) -> None:
    from data_builders.build import build

    if sources is None:
        (folder / "sources").symlink_to(home() / "sources", target_is_directory=True)
    build(home=folder, sources=sources, store=False)


def _derive_store(data: Path) -> None:
    from data_builders.build import source_records
    from hwnasbench.tables.store_builder import build_shipped_store
    from surrogates import RELEASE, shipping

    build_shipped_store(data, RELEASE, {**source_records(), **shipping.OWN_RECORDS})
