"""`eucentric edge`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from eucentric_core import (
    channel_credentials,
    clear_errors,
    configure_logging,
    load_settings,
    service_lifetime,
)

__all__ = ["app"]

app = typer.Typer(name="edge", help="Inference beside the microscope.", no_args_is_help=True)

_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]


@app.callback()
def _edge() -> None:
    # Keeps `serve` a command of its own.
    return None


@app.command()
def serve(
    config: _Config = None,
    home: Annotated[Path | None, typer.Option(help="Folder for models, state and logs.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads for inference.")] = None,
) -> None:
    """Serve the installed model until SIGTERM or Ctrl-C."""
    flags: dict[str, Any] = {}
    if home is not None:
        flags["home"] = str(home)
    if threads is not None:
        flags["edge"] = {"threads": threads}
    with clear_errors():
        settings = load_settings(config, flags=flags)
        configure_logging("edge", settings.logs)
        from ._service import EdgeService

        with service_lifetime("edge", settings.home) as lifetime:
            EdgeService(settings).run(lifetime)


@app.command()
def status(config: _Config = None) -> None:
    """Print what the running edge says about itself, as JSON."""
    from eucentric_core.transport import PyroControlClient

    with clear_errors():
        settings = load_settings(config)
        edge = settings.edge
        client = PyroControlClient(
            edge.reachable_host,
            edge.control_port,
            timeout_s=5.0,
            credentials=channel_credentials(settings, edge),
        )
        answer = client.call("status", {})
        client.close()
    typer.echo(json.dumps(answer, indent=2))
