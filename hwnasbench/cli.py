"""The command ``hwnasbench``: its subcommands come from the entry point group ``hwnasbench.commands``."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from hwnasbench.errors import HwnasbenchError

if TYPE_CHECKING:
    import typer


def app() -> typer.Typer:
    """Return the typer application with every registered subcommand."""
    import typer

    application = typer.Typer(
        name="hwnasbench",
        help="Query, fetch and build the hardware-aware NAS benchmark.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for point in sorted(entry_points(group="hwnasbench.commands"), key=lambda point: point.name):
        found = point.load()
        if isinstance(found, typer.Typer):
            application.add_typer(found, name=point.name)
        else:
            application.command(point.name)(found)
    return application


def main() -> None:
    """Run the command line. Exit status 0: done; 1: bad data or request; 2: bad usage."""
    try:
        import typer  # noqa: F401
    except ImportError:
        sys.exit("hwnasbench: the command line needs typer and rich: pip install 'hwnasbench[cli]'")
    try:
        app()()
    except HwnasbenchError as error:
        sys.stderr.write(f"hwnasbench: {type(error).__name__}: {error}\n")
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read the output, such as head, has seen enough.
        sys.stderr.close()
        sys.exit(0)
