"""The command and its subcommands."""

from __future__ import annotations

import typer

from ._curate import annotate, hold, note, release, tag
from ._look import list_datasets, provenance, search, show
from ._prune import prune
from ._take import copy, export, get, verify

__all__ = ["app"]

app = typer.Typer(
    name="data", help="Find, fetch, check, export, describe and keep data sets.", no_args_is_help=True
)

app.command(name="ls")(list_datasets)
_TAKE = (get, verify, export, copy, prune)
_DESCRIBE = (tag, note, annotate, hold, release)
for _command in (search, show, provenance, *_TAKE, *_DESCRIBE):
    app.command()(_command)
