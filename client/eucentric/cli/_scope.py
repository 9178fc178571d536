"""`eucentric scope`: look at an instrument and give it single commands."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.live import Live
from rich.table import Table

from eucentric_core import CommandRefusedError, clear_errors, explain_problem, load_settings
from eucentric_core.vocabulary import COMMANDS, Command

from ..display import answer_facts, facts
from ..scope import Scope, connect, known_instruments
from ._pairs import pair

__all__ = ["app"]

app = typer.Typer(help="Look at an instrument, and give it single commands.", no_args_is_help=True)

_Name = Annotated[
    str | None, typer.Argument(help="Instrument in the settings; by default this machine's own.")
]
_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Console = Annotated[bool, typer.Option("--console", help="Use the local console of this machine's agent.")]


@app.command("list")
def list_instruments(config: _Config = None, as_json: _Json = False) -> None:
    """Name the instruments this machine knows."""
    with clear_errors():
        known = known_instruments(load_settings(config))
    if as_json:
        typer.echo(json.dumps({name: where.model_dump() for name, where in known.items()}))
        return
    for name, where in sorted(known.items()):
        typer.echo(f"{name:24} {where.host}:{where.control_port}")


@app.command()
def show(
    name: _Name = None, config: _Config = None, console: _Console = False, as_json: _Json = False
) -> None:
    """Show what an instrument can do, how it stands, and who steers."""
    with clear_errors(), connect(name, config=config, console=console) as scope:
        if as_json:
            answer = {
                "capabilities": scope.capabilities.model_dump(mode="json"),
                "state": scope.state().model_dump(mode="json"),
                "lease": scope.lease().model_dump(mode="json"),
            }
            typer.echo(json.dumps(answer))
        else:
            table = _table(scope)
            table.add_row("verbs", ", ".join(scope.capabilities.verbs))
            Console().print(table)


@app.command()
def watch(
    name: _Name = None,
    config: _Config = None,
    console: _Console = False,
    seconds: Annotated[float | None, typer.Option(help="Stop after this time; by default at Ctrl-C.")] = None,
) -> None:
    """Show how an instrument stands, again and again."""
    end_s = None if seconds is None else time.monotonic() + seconds
    with clear_errors(), connect(name, config=config, console=console) as scope, Live(_table(scope)) as live:
        while end_s is None or time.monotonic() < end_s:
            time.sleep(1.0)
            live.update(_table(scope))


@app.command()
def do(
    verb: Annotated[str, typer.Argument(help="Verb of the vocabulary, such as stage.move.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="name=value; numbers in SI units, such as x_m=1e-6.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--on", help="Instrument; by default this machine's own.")
    ] = None,
    reason: Annotated[str, typer.Option(help="For the audit log and for whoever waits.")] = "command line",
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Take the lease from a holder of a lower role.")
    ] = False,
    config: _Config = None,
    console: _Console = False,
    as_json: _Json = False,
) -> None:
    """Give one command and print its answer; for one that steers, the lease is held meanwhile."""
    with clear_errors():
        command = _command(verb, arguments or [])
        with connect(name, config=config, console=console) as scope:
            if command.command_class == "observe":
                answer = scope.execute(command)
            else:
                with scope.control(reason=reason, take_over=take_over):
                    answer = scope.execute(command)
    if as_json:
        typer.echo(answer.model_dump_json())
        return
    typer.echo(f"{verb}: done")
    for fact, text in answer_facts(answer):
        typer.echo(f"  {fact:22} {text}")


def _command(verb: str, arguments: list[str]) -> Command:
    try:
        kind = COMMANDS[verb]
    except KeyError:
        raise CommandRefusedError(
            f"There is no verb {verb!r}.",
            safe="nothing was sent.",
            next_step=f"use one of {', '.join(COMMANDS)}.",
        ) from None
    try:
        return kind.model_validate(dict(pair(text) for text in arguments))
    except ValidationError as error:
        fields = ", ".join(sorted(set(kind.model_fields) - {"verb"})) or "nothing"
        raise CommandRefusedError(
            f"{verb}: {explain_problem(error.errors()[0])}.",
            safe="nothing was sent.",
            next_step=f"give name=value with {fields}.",
        ) from error


def _table(scope: Scope) -> Table:
    table = Table(title=repr(scope).strip("<>"), show_header=False)
    for name, text in facts(scope.state(), scope.lease()):
        table.add_row(name, text)
    return table
