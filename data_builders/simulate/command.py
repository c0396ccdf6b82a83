"""The subcommand ``hwnasbench simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwnasbench.errors import InvalidRequest
from hwnasbench.paths import home


def simulate(
    backend: Annotated[str, typer.Option(help="The oracle: zigzag, scalesim or vela.")],
    layers: Annotated[int | None, typer.Option(help="Ask about so many layers instead of all.")] = None,
    known: Annotated[Path | None, typer.Option(help="An earlier table: its rows are not asked for again.")] = None,
    target: Annotated[list[str] | None, typer.Option(help="Hardware of the oracle; all by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the table; in the data folder by default.")] = None,
    workers: Annotated[int, typer.Option(help="How many processes.")] = 1,
) -> None:
    """Ask a simulator or compiler about the layers of its shipped table; a killed run resumes."""
    from data_builders.simulate.layers import shipped_layers
    from data_builders.simulate.run import run

    for name, value in (("--layers", layers), ("--workers", workers)):
        if value is not None and value < 1:
            raise InvalidRequest(f"{name} is {value}; expected 1 or more")
    found, part = shipped_layers(backend)
    found, part, folder = found[:layers], part[:layers], out or home() / "oracles"
    path = run(backend, found, folder, target or (), part=part, known=known, workers=workers, say=typer.echo)
    typer.echo(f"{len(found)} layers in {path}")
