"""`eucentric keys` and `eucentric models`, put together."""

from __future__ import annotations

import typer

from ._cli_catalogue import catalogue_app
from ._cli_cosign import cosign_app
from ._cli_keys import keys_app
from ._cli_moves import moves_app
from ._cli_resign import resign_app

__all__ = ["app", "keys_app", "models_app"]

# Without a name of its own: the command line of the client adds `apply` beside these commands.
models_app = typer.Typer(help="Registered models and their history.", no_args_is_help=True)
models_app.add_typer(catalogue_app)
models_app.add_typer(moves_app)
models_app.add_typer(resign_app)
keys_app.add_typer(cosign_app)
app = typer.Typer(name="registry", help="Model registry: keys and models.", no_args_is_help=True)
app.add_typer(keys_app)
app.add_typer(models_app, name="models")
