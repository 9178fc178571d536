"""`eucentric agent shipping` and `eucentric agent retry-stuck`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from eucentric_core import Settings, clear_errors, load_settings

__all__ = ["retry_stuck_command", "shipping_command"]

_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
_Home = Annotated[Path | None, typer.Option("--home", help="The agent's home folder.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def shipping_command(config: _Config = None, home: _Home = None, as_json: _Json = False) -> None:
    """Show what is on its way to the repository, how fast, and what is stuck and why. Changes nothing."""
    from ._shipping import print_shipping, read_shipping

    with clear_errors():
        settings = _settings(config, home)
        report = read_shipping(settings)
    if as_json:
        typer.echo(report.model_dump_json())
    else:
        print_shipping(report, settings.home)


def retry_stuck_command(
    name: Annotated[str | None, typer.Argument(help="Name of the stuck shard.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is stuck.")] = False,
    config: _Config = None,
    home: _Home = None,
    as_json: _Json = False,
) -> None:
    """Send what is stuck again, once its reason is gone."""
    from ._shipping import retry_stuck

    if (name is None) != everything:
        raise typer.BadParameter("give the name of a stuck shard, or --all")
    with clear_errors():
        names = retry_stuck(_settings(config, home), name)
    if as_json:
        typer.echo(json.dumps({"sent_again": list(names)}))
    else:
        typer.echo("\n".join(f"{one} is sent again" for one in names) or "Nothing is stuck.")


def _settings(config: Path | None, home: Path | None) -> Settings:
    return load_settings(config, flags={} if home is None else {"home": str(home)})
