"""`eucentric agent`: run an instrument's agent, ask how it is, install it as a service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from eucentric_core import clear_errors, configure_logging, load_settings, service_lifetime

from ._flight_cli import flight_check_command
from ._shipping_cli import retry_stuck_command, shipping_command
from .service._command import install_service

app = typer.Typer(help="The agent on the microscope's control PC.", no_args_is_help=True)

_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
_Home = Annotated[Path | None, typer.Option("--home", help="Folder for logs, recordings and state.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def _flags(*, home: Path | None = None, instrument: str | None = None) -> dict[str, Any]:
    flags: dict[str, Any] = {}
    if home is not None:
        flags["home"] = home
    if instrument is not None:
        flags["agent"] = {"instrument": instrument}
    return flags


@app.command()
def run(
    config: _Config = None,
    instrument: Annotated[str | None, typer.Option(help="Driver to open, such as twin or replay.")] = None,
    home: _Home = None,
) -> None:
    """Serve the instrument until SIGTERM or Ctrl-C."""
    from ._agent import Agent

    with clear_errors():
        settings = load_settings(config, flags=_flags(home=home, instrument=instrument))
        agent = Agent(settings)
        # Before anything in the home is touched: another agent's log and ready file are there.
        agent.claim()
        configure_logging("agent", settings.logs)
        with service_lifetime("agent", settings.home) as lifetime, agent:
            lifetime.announce_ready(
                {
                    "instrument": settings.agent.name,
                    "driver": settings.agent.instrument,
                    "control_port": settings.agent.control_port,
                    "data_port": settings.agent.data_port,
                }
            )
            sent = f"sends to {settings.agent.ship_to}" if settings.agent.ship_to else "keeps what it records"
            typer.echo(
                f"The agent of {settings.agent.name} is ready on port {settings.agent.control_port} "
                f"and {sent}. Ctrl-C ends it."
            )
            agent.supervise(lifetime.stopping)


# Every service of the house starts with `serve`; an instrument's agent is said to run.
app.command("serve", hidden=True)(run)
app.command("install-service")(install_service)
app.command("flight-check")(flight_check_command)
app.command("shipping")(shipping_command)
app.command("retry-stuck")(retry_stuck_command)


@app.command()
def status(
    config: _Config = None,
    home: _Home = None,
    console: Annotated[
        bool,
        typer.Option("--console", help="Ask as the one at the instrument itself, without a certificate."),
    ] = False,
    as_json: _Json = False,
) -> None:
    """Show how the agent and its instrument are. Changes nothing."""
    from ._status import print_status, read_status

    with clear_errors():
        facts = read_status(load_settings(config, flags=_flags(home=home)), console=console)
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        print_status(facts)
