"""`eucentric audit`: is the log of this instrument whole, what does it say, and a copy of it."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from eucentric_core import ConfigurationError, EucentricError, clear_errors, load_settings, utc_now

__all__ = ["audit_app"]

audit_app = typer.Typer(help="The audit log of an instrument.", no_args_is_help=True)

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_Log = Annotated[Path | None, typer.Argument(help="The log; by default this machine's.")]
_LogOption = Annotated[Path | None, typer.Option("--log", help="The same as LOG.")]
_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
_Home = Annotated[Path | None, typer.Option("--home", help="The agent's home folder.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Who = Annotated[str | None, typer.Option(help="Only what this person, or program of theirs, did.")]
_Action = Annotated[str | None, typer.Option(help="Only this action, such as lease.request, or lease.")]
_Since = Annotated[str | None, typer.Option(help="Only since: 30m, 12h, 7d, or a time such as 2026-11-20.")]


@audit_app.callback()
def _group() -> None:
    """The audit log of an instrument: append-only, each line bound to the one before it."""


@audit_app.command()
def verify(
    log: _Log = None,
    log_option: _LogOption = None,
    config: _Config = None,
    home: _Home = None,
    as_json: _Json = False,
) -> None:
    """Check the hash chain, from the first line to the last; names the first line that is wrong."""
    from .control import verify_audit

    with clear_errors():
        summary = verify_audit(_path(log or log_option, config, home))
    if as_json:
        typer.echo(summary.model_dump_json())
    else:
        typer.echo(f"{summary.records} records, chain intact, head {summary.head}")


@audit_app.command()
def show(
    log: _Log = None,
    last: Annotated[int, typer.Option(min=1, max=100_000, help="How many records, the newest.")] = 20,
    who: _Who = None,
    action: _Action = None,
    since: _Since = None,
    log_option: _LogOption = None,
    config: _Config = None,
    home: _Home = None,
    as_json: _Json = False,
) -> None:
    """Show the newest records. Before a line that is wrong it stops, shows what was good, and fails."""
    from ._audit_export import print_records

    wrong: EucentricError | None = None
    with clear_errors():
        records: deque[Any] = deque(maxlen=last)
        try:
            records.extend(_selected(log or log_option, config, home, who, action, since))
        except ConfigurationError:
            raise
        except EucentricError as error:
            wrong = error
        if as_json:
            typer.echo(json.dumps({"records": [json.loads(record.line()) for record in records]}))
        else:
            print_records(records)
        if wrong is not None:
            raise wrong


@audit_app.command()
def export(
    file: Annotated[Path, typer.Argument(help="File to write: .csv or .jsonl.")],
    log: _Log = None,
    who: _Who = None,
    action: _Action = None,
    since: _Since = None,
    log_option: _LogOption = None,
    config: _Config = None,
    home: _Home = None,
    as_json: _Json = False,
) -> None:
    """Write records to a new file; a file that exists is not touched."""
    from ._audit_export import export_records

    with clear_errors():
        count = export_records(_selected(log or log_option, config, home, who, action, since), file)
    if as_json:
        typer.echo(json.dumps({"records": count, "file": str(file)}))
    else:
        typer.echo(f"{count} records written to {file}")


def _path(log: Path | None, config: Path | None, home: Path | None) -> Path:
    if log is not None:
        return log
    flags = {} if home is None else {"home": home}
    return load_settings(config, flags=flags).home / "agent" / "audit.jsonl"


def _selected(
    log: Path | None,
    config: Path | None,
    home: Path | None,
    who: str | None,
    action: str | None,
    since: str | None,
) -> Iterator[Any]:
    from .control import RecordFilter, read_audit

    wanted = RecordFilter(who, action, None if since is None else _time(since))
    return filter(wanted.wants, read_audit(_path(log, config, home)))


def _time(text: str) -> datetime:
    ago = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if ago is not None:
        return utc_now() - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"--since {text!r} is no time.",
            safe="nothing was read.",
            next_step="give 30m, 12h, 7d, or a time in UTC such as 2026-11-20 or 2026-11-20T22:00.",
        ) from None
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given
