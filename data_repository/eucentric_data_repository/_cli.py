"""`eucentric repository`: the service, and what operators look at; `eucentric data` is for everybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from eucentric_core import (
    RepositorySettings,
    clear_errors,
    configure_logging,
    load_settings,
    service_lifetime,
)

__all__ = ["app"]

app = typer.Typer(
    name="repository", help="The data repository: catalogue, provenance, integrity.", no_args_is_help=True
)

_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
_Root = Annotated[Path | None, typer.Option("--root", help="The repository's root; wins over the settings.")]


_NewRoot = Annotated[
    bool,
    typer.Option(
        "--new-root", help="The root is meant to be new, or another than was served from this home."
    ),
]


@app.command()
def serve(config: _Config = None, root: _Root = None, new_root: _NewRoot = False) -> None:
    """Take in what arrives until SIGTERM or Ctrl-C."""
    from ._service import RepositoryService

    with clear_errors():
        settings = load_settings(config, flags={"repository": {"root": root}} if root is not None else {})
        configure_logging("repository", settings.logs)
        with service_lifetime("repository", settings.home) as lifetime:
            service = RepositoryService(settings, stopping=lifetime.stopping, new_root=new_root)
            service.start()
            try:
                repository = settings.repository
                lifetime.announce_ready(
                    {
                        "host": repository.host,
                        "control_port": repository.control_port,
                        "data_port": repository.data_port,
                        "http_port": repository.http_port,
                        "root": str(service.root),
                    }
                )
                typer.echo(_said(repository, service.root))
                service.run(lifetime.stopping)
            finally:
                service.stop()


def _said(repository: RepositorySettings, root: Path) -> str:
    http = "" if repository.http_port is None else f", HTTP {repository.http_host}:{repository.http_port}"
    return (
        f"{repository.name} serves {root}: control {repository.host}:{repository.control_port}, "
        f"events {repository.host}:{repository.data_port}{http}"
    )


@app.command(name="ls")
def list_datasets(config: _Config = None, root: _Root = None, as_json: _Json = False) -> None:
    """List the data sets."""
    from .data_cli._look import print_datasets
    from .data_cli._options import open_for_reading

    with clear_errors(), open_for_reading(config, root) as catalogue:
        datasets = catalogue.datasets()
    if as_json:
        typer.echo(json.dumps({"datasets": [dataset.model_dump(mode="json") for dataset in datasets]}))
    else:
        print_datasets(tuple(datasets))


@app.command()
def verify(config: _Config = None, root: _Root = None, as_json: _Json = False) -> None:
    """Hash every registered shard again; exit status 1 if one is not as it was registered."""
    from .data_cli._take import verify as verify_all

    verify_all(None, config, root, as_json)
