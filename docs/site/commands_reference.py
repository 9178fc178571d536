"""The page of commands, from the program itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import typer
from typer.core import TyperCommand, TyperGroup

from eucentric.cli import command_tree

__all__ = ["page"]

_ABOUT = """\
Made from the program itself: what `eucentric COMMAND --help` says. Exit status: 0 done, 1 the command's
own "no", 2 refused or failed, 130 interrupted. Most commands take `--json` for programs, and `--config`
for another settings file."""


def page() -> str:
    """The page as Markdown."""
    return "\n".join(("# Commands", "", _ABOUT, "", *_commands(command_tree(), "eucentric", 2)))


def _commands(group: TyperGroup, path: str, level: int) -> Iterator[str]:
    for name, command in sorted(group.commands.items()):
        if command.hidden or not isinstance(command, TyperCommand | TyperGroup):
            continue
        full = f"{path} {name}"
        yield f"{'#' * level} `{full}`"
        yield ""
        yield _escaped(inspect.cleandoc(command.help or "").partition("\f")[0])
        yield ""
        if isinstance(command, TyperGroup):
            yield from _commands(command, full, min(level + 1, 4))
        else:
            yield from _parameters(command, full)


def _parameters(command: TyperCommand, path: str) -> Iterator[str]:
    context = typer.Context(command, info_name=path)
    rows = []
    for parameter in command.params:
        record = None if getattr(parameter, "hidden", False) else parameter.get_help_record(context)
        if record is not None and record[0] != "--help":
            rows.append(f"| `{_cell(record[0])}` | {_cell(_escaped(record[1]))} |")
    if rows:
        yield from ("| | |", "|---|---|", *rows, "")


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*").replace("[", "\\[")
