"""The root command `eucentric`, and what a failure looks like."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from eucentric_core import clear_errors

from ..certs import app as certs_app
from ..doctor import command as doctor_command
from ..globus import app as globus_app
from . import _config, _interlocks, _lease, _scope
from ._roles import ROLES, Role, run_role
from ._stop import stop

__all__ = ["app", "main", "mount"]

EXIT_INTERRUPTED = 130

app = typer.Typer(
    help="Close the loop between an electron microscope and a supercomputer.",
    no_args_is_help=True,
    add_completion=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        version = importlib.metadata.version("eucentric")
        typer.echo(f"eucentric {version} (Python {platform.python_version()}, {platform.system()})")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Close the loop between an electron microscope and a supercomputer."""


def mount(role: Role) -> None:
    """Make another room's command one of this program; the room is imported when the command is given."""

    # Everything behind the name, --help included, is for the room to read.
    @app.command(
        role.name,
        help=role.summary,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def forward(context: typer.Context) -> None:
        run_role(role, context.args)


for _role in ROLES:
    mount(_role)
app.command("doctor")(doctor_command)
app.command("stop")(stop)
app.add_typer(_scope.app, name="scope")
app.add_typer(_lease.app, name="lease")
app.add_typer(_interlocks.app, name="interlocks")
app.add_typer(_config.app, name="config")
app.add_typer(certs_app, name="certs")
app.add_typer(globus_app, name="globus")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; by default those of the process.

    Returns:
        The exit status: 0 done, 1 the command's own "no", 2 refused or failed, 130 interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with clear_errors():
            typer.main.get_command(app).main(args=given, prog_name="eucentric")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0
