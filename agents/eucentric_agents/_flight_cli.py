"""`eucentric agent flight-check`."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eucentric_core import clear_errors, load_settings
from eucentric_core.transport import PyroControlClient

from ._console import console_of_running_agent

if TYPE_CHECKING:
    from .flight_check import FlightCheckReport

__all__ = ["flight_check_command"]

_TIMEOUT_S = 10.0
_POLL_S = 0.3
_CLIENT = {"client": "flight-check"}


def flight_check_command(
    config: Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")] = None,
    home: Annotated[Path | None, typer.Option("--home", help="The agent's home folder.")] = None,
    last: Annotated[bool, typer.Option("--last", help="Show the last result, check nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Send a small test data set all the way to the repository; exit status 1 if it gets stuck."""
    with clear_errors():
        settings = load_settings(config, flags={} if home is None else {"home": str(home)})
        port, token = console_of_running_agent(settings.home)
        with closing(PyroControlClient("127.0.0.1", port, timeout_s=_TIMEOUT_S, token=token)) as client:
            report = _last(client) if last else _fly(client, quiet=as_json)
    if report is None:
        typer.echo("There was no flight check since the agent's data process started.")
        raise typer.Exit(1)
    if as_json:
        typer.echo(json.dumps({**report.model_dump(mode="json"), "passed": report.passed}))
    elif report.error is not None:
        typer.echo(
            f"{report.error.what}\nSafe: {report.error.safe}\nNext: {report.error.next_step}", err=True
        )
    else:
        typer.echo(
            f"{report.dataset_id} passed in {report.took_s:.1f} s ({report.started_utc:%Y-%m-%d %H:%M} UTC)"
        )
    if not report.passed:
        raise typer.Exit(1)


def _last(client: PyroControlClient) -> FlightCheckReport | None:
    from .flight_check import FlightCheckReport

    last = client.call("flight_check.status", dict(_CLIENT))["last"]
    return FlightCheckReport.model_validate(last) if last is not None else None


def _fly(client: PyroControlClient, *, quiet: bool) -> FlightCheckReport | None:
    from rich.console import Console

    console = Console(stderr=True, quiet=quiet)
    client.call("flight_check.start", dict(_CLIENT))
    with console.status("a test data set is on its way to the repository"):
        # It ends by itself at its deadline, or with the data process.
        while client.call("flight_check.status", dict(_CLIENT))["running"]:
            time.sleep(_POLL_S)
    report = _last(client)
    for stage, passed_s in report.passed_s.items() if report is not None else ():
        console.print(f"  ✓ {stage:9} after {passed_s:5.1f} s")
    return report
