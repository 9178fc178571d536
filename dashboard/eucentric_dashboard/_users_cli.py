"""`eucentric dashboard users`: who may log in at this machine's dashboard."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from eucentric_core import Role, clear_errors, load_settings

if TYPE_CHECKING:
    from .login import People

__all__ = ["users_app"]

users_app = typer.Typer(help="Who may log in at this machine's dashboard.", no_args_is_help=True)

_Config = Annotated[Path | None, typer.Option(help="TOML file with the settings of this machine.")]
_Name = Annotated[str, typer.Argument(help="Small letters, digits, and . _ @ -")]
_Role = Annotated[Role, typer.Option(help="What they may do; each role covers those before it.")]


@users_app.command("add")
def add(name: _Name, role: _Role = Role.VIEWER, config: _Config = None) -> None:
    """Make an account. The password is asked for, or read from the standard input if that is no terminal."""
    with _people(config) as people:
        people.accounts.add(name, role, _ask_password())
        typer.echo(f"{name} may log in as {role}.")


@users_app.command("ls")
def show(config: _Config = None) -> None:
    """List the accounts."""
    with _people(config) as people:
        accounts = people.accounts.all()
    if not accounts:
        typer.echo("No account yet: `eucentric dashboard users add NAME --role admin`.")
        return
    table = Table("name", "role", "made (UTC)", box=None, pad_edge=False)
    for account in accounts:
        table.add_row(account.name, account.role.value, f"{account.made_utc:%Y-%m-%d %H:%M}")
    Console().print(table)


@users_app.command("rm")
def remove(name: _Name, config: _Config = None) -> None:
    """Remove an account; its logins end at once."""
    with _people(config) as people:
        people.accounts.remove(name)
        typer.echo(f"{name} is removed, and logged out everywhere.")


@users_app.command("passwd")
def change_password(name: _Name, config: _Config = None) -> None:
    """Give an account another password; its logins end at once."""
    with _people(config) as people:
        people.accounts.change_password(name, _ask_password())
        typer.echo(f"{name} has another password, and is logged out everywhere.")


@users_app.command("role")
def change_role(
    name: _Name, role: Annotated[Role, typer.Argument(help="The new one.")], config: _Config = None
) -> None:
    """Give an account another role, in force at once."""
    with _people(config) as people:
        people.accounts.change_role(name, role)
        typer.echo(f"{name} is {role} now.")


@contextmanager
def _people(config: Path | None) -> Iterator[People]:
    with clear_errors():
        from .login import People

        people = People.of(load_settings(config))
        try:
            yield people
        finally:
            people.close()


def _ask_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
