"""`eucentric repository`: serve, list, verify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eucentric_core import clear_errors, configure_logging, load_settings, service_lifetime

if TYPE_CHECKING:
    from ._catalogue import Catalogue
    from ._entries import DatasetEntry

__all__ = ["app"]

app = typer.Typer(
    name="repository", help="The data repository: catalogue, provenance, integrity.", no_args_is_help=True
)

_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
_Root = Annotated[Path | None, typer.Option("--root", help="The repository's root; wins over the settings.")]


def _open(config: Path | None, root: Path | None) -> Catalogue:
    from ._catalogue import open_catalogue

    flags = {"repository": {"root": root}} if root is not None else {}
    return open_catalogue(load_settings(config, flags=flags))


@app.command()
def serve(config: _Config = None, root: _Root = None) -> None:
    """Take in what arrives until SIGTERM or Ctrl-C."""
    from ._service import RepositoryService

    with clear_errors():
        settings = load_settings(config, flags={"repository": {"root": root}} if root is not None else {})
        configure_logging("repository", settings.logs)
        with service_lifetime("repository", settings.home) as lifetime:
            service = RepositoryService(settings)
            service.start()
            try:
                repository = settings.repository
                lifetime.announce_ready(
                    {
                        "host": repository.host,
                        "control_port": repository.control_port,
                        "data_port": repository.data_port,
                        "root": str(service.root),
                    }
                )
                service.run(lifetime.stopping)
            finally:
                service.stop()


def _table(datasets: list[DatasetEntry]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("data set", "material", "frames", "missing", "shards", "MiB", "state", "since (UTC)")
    for dataset in datasets:
        table.add_row(
            dataset.dataset_id + (" SIMULATED" if dataset.simulated else ""),
            dataset.material or "-",
            str(dataset.frames),
            str(dataset.missing),
            str(dataset.shards),
            f"{dataset.size_bytes / 2**20:.1f}",
            dataset.state,
            f"{dataset.first_registered_utc:%Y-%m-%d %H:%M:%S}",
        )
    Console().print(table)


@app.command(name="ls")
def list_datasets(config: _Config = None, root: _Root = None, as_json: _Json = False) -> None:
    """List the data sets."""
    with clear_errors(), _open(config, root) as catalogue:
        datasets = catalogue.datasets()
    if as_json:
        typer.echo(json.dumps({"datasets": [dataset.model_dump(mode="json") for dataset in datasets]}))
    else:
        _table(datasets)


@app.command()
def verify(config: _Config = None, root: _Root = None, as_json: _Json = False) -> None:
    """Hash every registered shard again; exit status 1 if one is not as it was registered."""
    from ._verify import verify_shards

    with clear_errors(), _open(config, root) as catalogue:
        findings = list(verify_shards(catalogue))
    bad = [finding for finding in findings if finding.state != "intact"]
    if as_json:
        typer.echo(json.dumps({"shards": len(findings), "bad": [f.model_dump(mode="json") for f in bad]}))
    else:
        for finding in bad:
            typer.echo(f"{finding.state}: {finding.dataset_id}/{finding.file_name}")
        typer.echo(f"{len(findings) - len(bad)} of {len(findings)} shards intact")
    if bad:
        raise typer.Exit(1)
