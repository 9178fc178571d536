"""Command line of the dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eucentric_core import clear_errors, load_settings

from ._users_cli import users_app

__all__ = ["app"]

app = typer.Typer(help="The web page for scientists and operators.", no_args_is_help=True)
app.add_typer(users_app, name="users")


@app.callback()
def _group() -> None:
    """The web page for scientists and operators."""


@app.command()
def serve(
    config: Annotated[Path | None, typer.Option(help="TOML file with the settings of this machine.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the page.")] = None,
) -> None:
    """Serve the pages until SIGTERM or Ctrl-C."""
    given = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    with clear_errors():
        settings = load_settings(config, flags={"dashboard": given} if given else None)

        from ._service import serve as serve_page

        serve_page(settings)
