"""The whole program as one tree of commands, for its reference and its tests."""

from __future__ import annotations

import importlib

import typer
from typer.core import TyperCommand, TyperGroup

from ._main import app
from ._roles import ROLES, Role

__all__ = ["command_tree"]


def command_tree() -> TyperGroup:
    """The root command with every room's commands in place; imports every room.

    Raises:
        ModuleNotFoundError: a room is not installed here.
    """
    root = typer.main.get_command(app)
    if not isinstance(root, TyperGroup):
        raise TypeError(f"the root command is a {type(root).__name__}")
    for role in ROLES:
        root.commands[role.name] = _opened(role)
    return root


def _opened(role: Role) -> TyperCommand | TyperGroup:
    found = getattr(importlib.import_module(role.module), role.attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command(role.name)(found)
        found = single
    command = typer.main.get_command(found)
    if not isinstance(command, TyperCommand | TyperGroup):
        raise TypeError(f"{role.name} is a {type(command).__name__}")
    command.help = command.help or role.summary
    return command
