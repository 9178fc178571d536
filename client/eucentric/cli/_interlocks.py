"""`eucentric interlocks`: what may not happen to specimen, stage and detectors, and making it stricter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eucentric_core import CommandRefusedError, clear_errors

from ..scope import connect
from ._pairs import pair

__all__ = ["app"]

app = typer.Typer(help="What may not happen to specimen, stage and detectors.", no_args_is_help=True)

_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Console = Annotated[bool, typer.Option("--console", help="Use the local console of this machine's agent.")]

_EXAMPLE = "beam.max_unblank_s=5"


@app.command()
def show(
    name: Annotated[
        str | None, typer.Argument(help="Instrument in the settings; by default this machine's own.")
    ] = None,
    config: _Config = None,
    console: _Console = False,
    as_json: _Json = False,
) -> None:
    """Show the limits in force, what has been spent, and what tripped."""
    with clear_errors(), connect(name, config=config, console=console) as scope:
        _print(scope.capabilities.instrument, scope.interlocks(), as_json=as_json)


@app.command()
def tighten(
    given: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME] SECTION.KEY=VALUE...", help=f"Instrument, and limits in SI units: {_EXAMPLE}."
        ),
    ],
    config: _Config = None,
    console: _Console = False,
    as_json: _Json = False,
) -> None:
    """Make limits stricter until the agent starts again. Wider ones are refused."""
    with clear_errors():
        name, pairs = (None, given) if "=" in given[0] else (given[0], given[1:])
        limits = _limits(pairs)
        with connect(name, config=config, console=console) as scope:
            _print(scope.capabilities.instrument, scope.tighten_interlocks(limits), as_json=as_json)


def _limits(given: list[str]) -> dict[str, Any]:
    limits: dict[str, dict[str, Any]] = {}
    for text in given:
        name, value = pair(text, example=_EXAMPLE)
        section, dot, key = name.partition(".")
        if not dot:
            raise _refused(f"{name!r} is not SECTION.KEY.")
        limits.setdefault(section, {})[key] = value
    if not limits:
        raise _refused("No limit was given.")
    return dict(limits)


def _refused(what: str) -> CommandRefusedError:
    return CommandRefusedError(what, safe="nothing was sent.", next_step=f"write for instance {_EXAMPLE}.")


def _print(instrument: str, shown: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(shown))
        return
    if "limits" not in shown:
        typer.echo(f"{instrument} has no interlocks")
        return
    table = Table("limit", "in force", "in the file", title=instrument)
    of_file = dict(_flat(shown.get("file") or {}))
    for name, value in _flat(shown["limits"]):
        table.add_row(name, escape(value), escape(of_file.get(name, "")))
    for name, value in _flat({"spent": shown.get("spent") or {}}):
        table.add_row(name, escape(value), "")
    for trip in shown.get("trips") or ():
        table.add_row("tripped", escape(f"{trip.get('at_utc', '')} {trip.get('what', '')}".strip()), "")
    Console().print(table)


def _flat(sections: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Dotted names and values as they are typed; what is not set is left out."""
    for section, keys in sections.items():
        for key, value in (keys or {}).items():
            if value not in (None, [], ()):
                yield f"{section}.{key}", value if isinstance(value, str) else json.dumps(value)
