"""`eucentric keys` and `eucentric models`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from eucentric_core import Settings, TrustedKeys, clear_errors, load_settings, local_address

if TYPE_CHECKING:
    from ._registry import Registry

__all__ = ["app", "keys_app", "models_app"]

keys_app = typer.Typer(name="keys", help="Keys that sign model bundles.", no_args_is_help=True)
models_app = typer.Typer(name="models", help="Registered models and their history.", no_args_is_help=True)
app = typer.Typer(name="registry", help="Model registry: keys and models.", no_args_is_help=True)
app.add_typer(keys_app)
app.add_typer(models_app)

_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]
_Model = Annotated[str | None, typer.Option("--model", help="Model name; by default the edge's.")]


@keys_app.command("init")
def init_keys(config: _Config = None, as_json: _Json = False) -> None:
    """Make the key that signs bundles and the public file that edges trust. Never overwrites."""
    from ._keys import generate_keys

    with clear_errors():
        settings = load_settings(config)
        trusted = generate_keys(settings.signing_key_path, settings.trusted_keys_path)
    _tell_keys(settings, trusted, as_json)


@keys_app.command("show")
def show_keys(config: _Config = None, as_json: _Json = False) -> None:
    """Show the public keys whose signatures count. The private key is never printed."""
    with clear_errors():
        settings = load_settings(config)
        trusted = TrustedKeys.read(settings.trusted_keys_path)
    _tell_keys(settings, trusted, as_json)


def _tell_keys(settings: Settings, trusted: TrustedKeys, as_json: bool) -> None:
    if as_json:
        facts = {
            "signing_key": str(settings.signing_key_path),
            "trusted_keys": str(settings.trusted_keys_path),
            "threshold": trusted.threshold,
            "key_ids": sorted(trusted.keys),
        }
        typer.echo(json.dumps(facts))
        return
    typer.echo(f"signing key   {settings.signing_key_path} (stays on the hub)")
    typer.echo(f"trusted keys  {settings.trusted_keys_path} (copy to every edge)")
    for key_id in sorted(trusted.keys):
        typer.echo(f"key           {key_id}")


def _open(config: Path | None, model: str | None) -> tuple[Registry, str]:
    from ._registry import Registry

    settings = load_settings(config)
    registry = Registry(settings.hub.mlflow_url, TrustedKeys.read(settings.trusted_keys_path))
    return registry, model or settings.edge.model


@models_app.command("ls")
def list_models(config: _Config = None, model: _Model = None, as_json: _Json = False) -> None:
    """List the versions of a model with their aliases and where they come from."""
    with clear_errors():
        registry, name = _open(config, model)
        versions = registry.versions(name)
    if as_json:
        typer.echo(json.dumps([version.model_dump(mode="json") for version in versions]))
        return
    table = Table("version", "aliases", "registered (UTC)", "policy", "trigger", "data sets")
    for version in versions:
        table.add_row(
            f"v{version.version}",
            ", ".join(version.aliases),
            f"{version.registered_utc:%Y-%m-%d %H:%M:%S}",
            version.lineage.policy or "",
            version.lineage.trigger_id,
            ", ".join(version.lineage.datasets),
        )
    Console().print(table)


@models_app.command("history")
def show_history(config: _Config = None, model: _Model = None, as_json: _Json = False) -> None:
    """Tell which version was champion since when, why, and who decided."""
    with clear_errors():
        registry, name = _open(config, model)
        history = registry.history(name)
    if as_json:
        typer.echo(json.dumps([promotion.model_dump(mode="json") for promotion in history]))
        return
    table = Table("promoted (UTC)", "version", "before", "who", "reason")
    for promotion in history:
        before = "" if promotion.previous_version is None else f"v{promotion.previous_version}"
        table.add_row(
            f"{promotion.promoted_utc:%Y-%m-%d %H:%M:%S}",
            f"v{promotion.version}",
            before,
            promotion.who,
            promotion.reason,
        )
    Console().print(table)


@models_app.command()
def server(config: _Config = None) -> None:
    """Run a local MLflow server (SQLite, no telemetry) at hub.mlflow_url, until SIGTERM or Ctrl-C."""
    from ._server import mlflow_server

    with clear_errors():
        settings = load_settings(config)
        host, port = local_address(
            settings.hub.mlflow_url, setting="hub.mlflow_url", example="http://127.0.0.1:PORT"
        )
        local = mlflow_server(settings.home / "mlflow", host=host, port=port)
    local.replace_this_process()
