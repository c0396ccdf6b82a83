"""The subcommand ``hwnasbench study``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

study = typer.Typer(no_args_is_help=True, help="Run a study of searchers, and write its report.")


@study.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="What the study says.")],
    jobs: Annotated[int | None, typer.Option(help="Processes; one a core by default.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to run on instead.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; the study's name by default.")] = None,
) -> None:
    """Run a study and write its trajectories, statistics, pictures and report. A killed run resumes."""
    from hwnasbench.errors import InvalidRequest
    from hwnasbench.executors import cores, dask_executor
    from hwnasbench.studies import results, runner, spec

    if jobs is not None and scheduler is not None:
        raise InvalidRequest("--jobs and --scheduler exclude each other")
    read = spec.read(file)
    folder = out or Path(read.name)
    executor = None if scheduler is None else dask_executor(scheduler)
    runner.run(read, folder, jobs=cores() if jobs is None else jobs, executor=executor, say=typer.echo)
    typer.echo(f"the report is {results.write(folder)}")


@study.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where `study run` wrote.")],
) -> None:
    """Write the statistics, pictures and report of a finished study again."""
    from hwnasbench.studies import results

    typer.echo(f"the report is {results.write(folder)}")
