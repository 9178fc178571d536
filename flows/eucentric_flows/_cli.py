"""`eucentric flows`, `eucentric policy` and `eucentric run`."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from eucentric_core import (
    clear_errors,
    configure_logging,
    load_settings,
    service_lifetime,
    settings_for_model,
)

from .commands import add_flow_commands, policy_app, run_app

__all__ = ["app", "policy_app", "run_app"]

app = typer.Typer(name="flows", help="Policies and flows that close the loop.", no_args_is_help=True)

_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]

add_flow_commands(app)


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
    model: Annotated[
        str | None, typer.Option(help="Name of the model. Left out: the one that this site's edge serves.")
    ] = None,
    material: Annotated[str, typer.Option(help="Material to simulate start data of.")] = "mos2",
    conditions: Annotated[
        Path | None, typer.Option(help="Start conditions (JSON) in place of those of the demonstration.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of specimen, noise and training.")] = 1,
    members: Annotated[int, typer.Option(min=2, max=64, help="Networks in the ensemble.")] = 3,
    steps: Annotated[int | None, typer.Option(min=10, help="Training steps of each network.")] = None,
    install: Annotated[
        bool, typer.Option(help="Hand the model to the edge as well, if it serves one of that name.")
    ] = True,
) -> None:
    """Train a model's first champion on simulated data and publish it as version 1."""
    with clear_errors():
        settings = load_settings(config)
        configure_logging("bootstrap", settings.logs)
        from ._bootstrap import bootstrap_model, start_conditions

        ending = bootstrap_model(
            settings,
            model=model or settings.edge.model,
            conditions=start_conditions(material, conditions),
            seed=seed,
            members=members,
            steps=steps,
            installing=install and (model is None or settings_for_model(settings, model).edge.model == model),
            say=lambda stage, message: typer.echo(f"{stage}: {message}" if message else stage, err=True),
        )
    typer.echo(json.dumps({"outcome": ending.outcome, "version": ending.version, "reason": ending.reason}))
    if ending.outcome == "rejected":
        raise typer.Exit(1)
