"""The subcommands of ``hwnasbench`` that make tables: sources, fetch, build, enumerate."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from data_builders import catalog
from hwnasbench.errors import InvalidRequest
from hwnasbench.executors import dask_executor
from hwnasbench.paths import home

_Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Sources; all by default.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def sources(as_json: _Json = False) -> None:
    """List the published sources: what they hold, their licence, and whether they are built here."""
    rows = []
    for name in catalog.names():
        source = catalog.get(name)
        rows.append(
            {
                "id": source.id,
                "title": source.title,
                "repository": source.repository,
                "commit": source.commit,
                "licence": source.licence,
                "unit": source.unit,
                "unit_evidence": source.unit_evidence,
                "bytes": sum(file.bytes or 0 for file in source.files),
                "fetched": not catalog.Folder(source, home() / "sources" / source.id).missing,
                "built": (home() / "tables" / source.id / "built.json").is_file(),
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("id", "title", "licence", "MB", "fetched", "built")
    for row in rows:
        flags = ["yes" if row[key] else "no" for key in ("fetched", "built")]
        megabytes = f"{int(str(row['bytes'])) / 1e6:.1f}"
        table.add_row(str(row["id"]), str(row["title"]), str(row["licence"]), megabytes, *flags)
    Console().print(table)


def fetch(
    ids: _Ids = None,
    mirror: Annotated[str | None, typer.Option(help="Base address that holds <id>/<path in the repository>.")] = None,
) -> None:
    """Download published files into the data folder: pinned, checked, resumed where they were cut off."""
    from data_builders.fetch import fetch as fetch_one

    chosen = [catalog.get(name) for name in ids or catalog.names()]
    for source in chosen:
        if not ids and not source.pinned:
            typer.echo(f"{source.id}: not fetched, no checksum is pinned; see `hwnasbench fetch {source.id}`")
            continue
        folder = fetch_one(source, home(), mirror, progress=sys.stderr.isatty(), say=typer.echo)
        typer.echo(f"{source.id}: in {folder}\n")


def build(
    ids: _Ids = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Folder with the files of source ID under ID/ (a Python package among the sources is then "
            "downloaded by pip); the data folder by default.",
        ),
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to build on.")] = None,
) -> None:
    """Build Parquet tables, and the store derived from them, in the data folder."""
    from data_builders.build import build as build_all

    if folder is not None and not folder.is_dir():
        raise typer.BadParameter(f"{folder} is no folder", param_hint="--from")
    executor = None
    if scheduler is not None:
        executor = dask_executor(scheduler)
    report = build_all(ids or (), home=home(), sources=folder, executor=executor)
    for word, remarks in vars(report).items():
        for name, remark in remarks.items():
            typer.echo(f"{word:8}{name}: {remark}")
    typer.echo(f"tables are in {home() / 'tables'}")


def enumerate_space(
    space: Annotated[str, typer.Argument(help="Name of a space.")],
    sample: Annotated[int | None, typer.Option(help="Draw so many architectures instead of all.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the sample; 0 by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="The Parquet file; SPACE.parquet by default.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Whose network is counted.")] = None,
) -> None:
    """Write a space to Parquet: arch, index, canonical, params, macs, layers."""
    from data_builders.enumerate import enumerate_to

    if seed is not None and sample is None:
        raise InvalidRequest(f"--seed {seed} has no effect without --sample")
    path = out or Path(f"{space}.parquet")
    if not path.name:
        raise InvalidRequest(f"--out {str(out)!r} names no file")
    rows = enumerate_to(path, space, sample, seed or 0, dataset)
    typer.echo(f"{rows} architectures of {space} in {path}")
