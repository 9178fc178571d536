"""`eucentric run`: what was triggered, what became of it, and having a say in it."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eucentric_core import clear_errors, load_settings, utc_now

if TYPE_CHECKING:
    from eucentric_core import Settings

    from ..runs import RunView

__all__ = ["as_json_object", "picture", "run_app"]

run_app = typer.Typer(name="run", help="Runs: what was triggered, what became of it.", no_args_is_help=True)

_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_TriggerId = Annotated[
    str, typer.Argument(help="Trigger id, as `eucentric run ls` shows it; its beginning will do.")
]
_WATCH_S = 1.0
_CANCEL_WAIT_S = 90.0


@run_app.command("ls")
def list_runs(
    config: _Config = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 20,
    as_json: _Json = False,
) -> None:
    """List runs, newest first."""
    from ..runs import RunRecord, runs_path, state_words

    with clear_errors(), RunRecord(runs_path(load_settings(config))) as record:
        runs = record.runs(limit=limit)
    if as_json:
        typer.echo(json.dumps([as_json_object(run) for run in runs]))
        return
    if not runs:
        typer.echo("No runs yet: a policy starts them, or `eucentric flows run NAME`.")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("run", "flow", "of", "triggered by", "state", "started (UTC)", "now, or why")
    for run in runs:
        table.add_row(
            run.trigger_id,
            run.kind,
            run.model,
            run.asked_by,
            state_words(run),
            f"{run.started_utc:%Y-%m-%d %H:%M:%S}",
            run.reason if run.over or run.doing is None else f"{run.doing.name}: {run.doing.message}",
        )
    Console().print(table)


@run_app.command("show")
def show_run(
    trigger_id: _TriggerId,
    config: _Config = None,
    as_json: _Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until the run has ended.")] = False,
) -> None:
    """Show one run as a time line, with what it waited for."""
    with clear_errors():
        settings = load_settings(config)
        run = _find(settings, trigger_id)
    if not watch:
        typer.echo(json.dumps(as_json_object(run)) if as_json else "\n".join(picture(run)))
        return
    if as_json:
        _follow(settings, run, lambda view: typer.echo(json.dumps(as_json_object(view))))
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(), auto_refresh=False) as live:
        _follow(settings, run, lambda view: live.update(Text("\n".join(picture(view))), refresh=True))


@run_app.command("cancel")
def cancel_run(
    trigger_id: _TriggerId,
    config: _Config = None,
    wait: Annotated[bool, typer.Option(help="Wait until it has ended.")] = True,
) -> None:
    """End a run: its jobs are taken out of the queue, an instrument is put in its safe state."""
    from ..desk import cancel_run as cancel

    with clear_errors():
        settings = load_settings(config)
        found = _find(settings, trigger_id)
        run = cancel(settings, found.trigger_id, getpass.getuser())
        deadline = time.monotonic() + (_CANCEL_WAIT_S if wait else 0.0)
        while not run.over and time.monotonic() < deadline:
            time.sleep(_WATCH_S / 4)
            # Again, because a run may be lost only now.
            run = cancel(settings, found.trigger_id, getpass.getuser())
    if not run.over:
        typer.echo(f"Run {run.trigger_id} has been told to stop; its last sign of life is "
                   f"{run.heartbeat_age_s:.0f} s old.")  # fmt: skip
        raise typer.Exit(1 if wait else 0)
    typer.echo(f"Run {run.trigger_id} ended {run.state}: {run.reason}")


@run_app.command("logs")
def show_logs(trigger_id: _TriggerId, config: _Config = None, as_json: _Json = False) -> None:
    """Print what this machine's services wrote about a run, oldest first."""
    from ..runs import log_lines

    with clear_errors():
        settings = load_settings(config)
        run = _find(settings, trigger_id)
    for line in log_lines(settings.logs, run.trace_id):
        if as_json:
            typer.echo(json.dumps(line))
            continue
        moment = str(line.get("time", ""))[:23].replace("T", " ")
        typer.echo(
            f"{moment}  {line.get('service', ''):10} {line.get('level', ''):7} {line.get('message', '')}"
        )


@run_app.command("resume")
def resume_run(
    trigger_id: _TriggerId,
    config: _Config = None,
) -> None:
    """Go on with a run that failed, was lost or was cancelled."""
    from ..desk import resume_run as go_on

    with clear_errors():
        settings = load_settings(config)
        run = _find(settings, trigger_id)
        flow_run = go_on(settings, run.trigger_id)
    typer.echo(f"Flow run {flow_run} goes on with {run.trigger_id}.")


def _find(settings: Settings, trigger_id: str) -> RunView:
    from ..runs import RunRecord, runs_path

    with RunRecord(runs_path(settings)) as record:
        return record.find(trigger_id)


def _follow(settings: Settings, run: RunView, show: Callable[[RunView], None]) -> None:
    from ..runs import RunRecord, runs_path

    with RunRecord(runs_path(settings)) as record:
        while True:
            show(run)
            if run.over:
                return
            time.sleep(_WATCH_S)
            run = record.run(run.trigger_id)


def as_json_object(run: RunView) -> dict[str, object]:
    """A run for programs."""
    waiting = run.waiting
    return {
        **run.model_dump(mode="json"),
        "trace_id": run.trace_id,
        "stage_s": run.stage_s,
        "waiting": None if waiting is None else waiting.reason,
    }


def picture(run: RunView) -> list[str]:
    """A run for people, as lines."""
    from ..runs import state_words, time_line

    lines = [
        f"{run.kind} of {run.model}: {state_words(run)}{f': {run.reason}' if run.over else ''}",
        f"run {run.trigger_id}, triggered by {run.asked_by}, attempt {run.attempt}",
        f"trace {run.trace_id}",
        "",
        *time_line(run, utc_now()),
    ]
    if not run.over:
        lines.append(f"last sign of life {run.heartbeat_age_s:.0f} s ago")
    return lines
