"""`eucentric flows`, `eucentric policy` and `eucentric run`."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eucentric_core import clear_errors, configure_logging, load_settings, service_lifetime

if TYPE_CHECKING:
    from ._run_views import RunView

__all__ = ["app", "policy_app", "run_app"]

app = typer.Typer(name="flows", help="Policies and flows that close the loop.", no_args_is_help=True)
policy_app = typer.Typer(name="policy", help="Check and explain policy files.", no_args_is_help=True)
run_app = typer.Typer(name="run", help="Runs: what was triggered, what became of it.", no_args_is_help=True)

_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def serve(
    config: _Config = None,
    home: Annotated[Path | None, typer.Option(help="Folder for runs, training data and logs.")] = None,
) -> None:
    """Publish the policies, bridge events and serve the retraining flow, until SIGTERM or Ctrl-C."""
    flags: dict[str, Any] = {} if home is None else {"home": str(home)}
    with clear_errors():
        settings = load_settings(config, flags=flags)
        from ._server import prefect_environment

        os.environ.update(prefect_environment(settings))
        configure_logging("flows", settings.logs)
        # Every poll is a request; every request would be a line.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        from ._service import run_service

        with service_lifetime("flows", settings.home) as lifetime:
            run_service(settings, lifetime)


@app.command()
def status(config: _Config = None) -> None:
    """Print how the service stands as JSON; exit status 1 if it or its Prefect server does not run."""
    from ._event_outbox import EventOutbox, outbox_path
    from ._server import is_healthy

    with clear_errors():
        settings = load_settings(config)
    ready_file = settings.home / "run" / "flows.json"
    outbox = EventOutbox(outbox_path(settings))
    report = {
        "running": ready_file.exists(),
        "prefect": is_healthy(settings.hub.prefect_api_url),
        "events": outbox.counts().model_dump(),
    }
    outbox.close()
    typer.echo(json.dumps(report))
    if not (report["running"] and report["prefect"]):
        raise typer.Exit(1)


@app.command()
def server(config: _Config = None) -> None:
    """Run a local Prefect server (SQLite, no telemetry) at hub.prefect_api_url, until SIGTERM or Ctrl-C."""
    from ._server import prefect_server

    with clear_errors():
        local = prefect_server(load_settings(config))
    local.replace_this_process()


@app.command()
def bootstrap(
    config: _Config = None,
    material: Annotated[str, typer.Option(help="Material to simulate start data of.")] = "mos2",
    conditions: Annotated[
        Path | None, typer.Option(help="Start conditions (JSON) in place of those of the demonstration.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of specimen, noise and training.")] = 1,
    members: Annotated[int, typer.Option(min=2, max=64, help="Networks in the ensemble.")] = 3,
    steps: Annotated[int | None, typer.Option(min=10, help="Training steps of each network.")] = None,
    install: Annotated[bool, typer.Option(help="Hand the model to the edge as well.")] = True,
) -> None:
    """Train a model's first champion on simulated data and publish it as version 1."""
    with clear_errors():
        settings = load_settings(config)
        configure_logging("bootstrap", settings.logs)
        from ._bootstrap import bootstrap_model, start_conditions

        ending = bootstrap_model(
            settings,
            model=settings.edge.model,
            conditions=start_conditions(material, conditions),
            seed=seed,
            members=members,
            steps=steps,
            installing=install,
            say=lambda stage, message: typer.echo(f"{stage}: {message}" if message else stage, err=True),
        )
    typer.echo(json.dumps({"outcome": ending.outcome, "version": ending.version, "reason": ending.reason}))
    if ending.outcome == "rejected":
        raise typer.Exit(1)


@policy_app.command("check")
def check_policy(file: Annotated[Path, typer.Argument(help="Policy file (TOML).")]) -> None:
    """Say whether a policy file can be used, and if not, why."""
    from .policy import load_policy

    with clear_errors():
        policy = load_policy(file)
    typer.echo(f"{file}: policy {policy.name} is valid{'' if policy.enabled else ' (disabled)'}.")


@policy_app.command("explain")
def explain_policy(file: Annotated[Path, typer.Argument(help="Policy file (TOML).")]) -> None:
    """Say in one sentence what a policy does."""
    from .policy import explain, load_policy

    with clear_errors():
        typer.echo(explain(load_policy(file)))


@run_app.command("ls")
def list_runs(
    config: _Config = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 20,
    as_json: _Json = False,
) -> None:
    """List runs, newest first."""
    from ._run_record import RunRecord, runs_path

    with clear_errors(), RunRecord(runs_path(load_settings(config))) as record:
        runs = record.runs(limit=limit)
    if as_json:
        typer.echo(json.dumps([run.model_dump(mode="json") for run in runs]))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("run", "model", "triggered by", "state", "version", "started (UTC)", "reason")
    for run in runs:
        table.add_row(
            run.trigger_id,
            run.model,
            f"policy {run.policy}" if run.triggered_by == "policy" else "a person",
            _state(run),
            "" if run.version is None else str(run.version),
            f"{run.started_utc:%Y-%m-%d %H:%M:%S}",
            run.reason,
        )
    Console().print(table)


@run_app.command("show")
def show_run(
    trigger_id: Annotated[str, typer.Argument(help="Trigger id, as `eucentric run ls` shows it.")],
    config: _Config = None,
    as_json: _Json = False,
) -> None:
    """Show one run with its stages."""
    from ._run_record import RunRecord, runs_path

    with clear_errors(), RunRecord(runs_path(load_settings(config))) as record:
        run = record.run(trigger_id)
    if as_json:
        typer.echo(json.dumps({**run.model_dump(mode="json"), "stage_s": run.stage_s}))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"{run.kind} of {run.model}, {_state(run)}: {run.reason}")
    table = Table("stage", "attempt", "seconds", "message")
    for stage in run.stages:
        seconds = "" if stage.duration_s is None else f"{stage.duration_s:.1f}"
        table.add_row(
            stage.name, str(stage.attempt), seconds, stage.error.what if stage.error else stage.message
        )
    console.print(table)


@run_app.command("resume")
def resume_run(
    trigger_id: Annotated[str, typer.Argument(help="Trigger id of a run that failed or was lost.")],
    config: _Config = None,
) -> None:
    """Go on with a retraining that did not come to its end."""
    from ._run_record import RunRecord, runs_path
    from ._server import prefect_environment

    with clear_errors():
        settings = load_settings(config)
        with RunRecord(runs_path(settings)) as record:
            run = record.run(trigger_id)
        os.environ.update(prefect_environment(settings))
        from ._resume import resume

        flow_run = resume(run)
    typer.echo(f"Flow run {flow_run} goes on with {trigger_id}.")


def _state(run: RunView) -> str:
    return f"lost, last heard of {run.heartbeat_age_s:.0f} s ago" if run.state == "lost" else run.state
