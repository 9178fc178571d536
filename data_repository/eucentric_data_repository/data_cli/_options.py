"""Options that all subcommands share, and what they open."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from eucentric_core import FrozenModel, Settings, load_settings

from .._catalogue import Catalogue, open_catalogue

__all__ = [
    "AsJson",
    "Config",
    "DatasetId",
    "Root",
    "bar",
    "open_for_reading",
    "print_json",
    "read_settings",
    "who",
]

Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
Root = Annotated[Path | None, typer.Option("--root", help="The repository's root; wins over the settings.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DatasetId = Annotated[str, typer.Argument(metavar="DATASET", help="Name of a data set.")]


def read_settings(config: Path | None, root: Path | None) -> Settings:
    """The settings, with the root that was given."""
    return load_settings(config, flags={"repository": {"root": root}} if root is not None else {})


def open_for_reading(config: Path | None, root: Path | None) -> Catalogue:
    """The catalogue that the options mean."""
    return open_catalogue(read_settings(config, root))


def who(settings: Settings) -> str:
    """In whose name something is written."""
    if settings.client.name is not None:
        return settings.client.name
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"


def print_json(answer: FrozenModel | dict[str, Any]) -> None:
    """One JSON object on one line."""
    plain = answer.model_dump(mode="json") if isinstance(answer, FrozenModel) else answer
    typer.echo(json.dumps(plain, ensure_ascii=False))


class Bar:
    """A progress bar on a terminal, nothing elsewhere."""

    def __init__(self, progress: Any, task: Any) -> None:
        self._progress = progress
        self._task = task

    def total(self, total: int) -> None:
        """How much there is to do."""
        if self._progress is not None:
            self._progress.update(self._task, total=total)

    def add(self, done: int) -> None:
        """So much more is done."""
        if self._progress is not None:
            self._progress.update(self._task, advance=done)

    def at(self, done: int, total: int) -> None:
        """So much is done of so much."""
        if self._progress is not None:
            self._progress.update(self._task, completed=done, total=total)


@contextmanager
def bar(title: str, *, in_bytes: bool = False) -> Iterator[Bar]:
    """A bar on stderr while something goes on."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Bar(None, None)
        return
    amount = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress, progress.add_task(title, total=None))
