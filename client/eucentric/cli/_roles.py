"""Commands that live in another room, and what must be installed for each."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import typer

from eucentric_core import UnsupportedError

__all__ = ["ROLES", "Role", "run_role"]


@dataclass(frozen=True, slots=True)
class Role:
    """A command of another room.

    Args:
        name: as it is typed after `eucentric`.
        module: where it is.
        attribute: a typer application, or the function of a single command.
        extra: what to install for it, as in `eucentric[edge]`.
        summary: its line in the list of commands.
    """

    name: str
    module: str
    attribute: str
    extra: str
    summary: str


ROLES = (
    Role("demo", "eucentric.demo", "demo", "demo", "Close the whole loop on this machine and watch it."),
    Role("agent", "eucentric_agents._cli", "app", "agent", "Serve the microscope from its control PC."),
    Role("audit", "eucentric_agents._audit_cli", "audit_app", "agent", "Check, show and copy the audit log."),
    Role(
        "import",
        "eucentric_agents.importing._cli",
        "import_command",
        "vendor-formats",
        "Import vendors' files.",
    ),
    Role("edge", "eucentric_edge._cli", "app", "edge", "Answer frames beside the microscope."),
    Role("repository", "eucentric_data_repository._cli", "app", "hub", "Receive, verify and list data sets."),
    Role(
        "data", "eucentric_data_repository.data_cli", "app", "repository", "Find, fetch and keep data sets."
    ),
    Role("flows", "eucentric_flows._cli", "app", "hub", "Serve the flows that retrain and publish."),
    Role("policy", "eucentric_flows._cli", "policy_app", "hub", "Check, try, switch and explain policies."),
    Role("run", "eucentric_flows._cli", "run_app", "hub", "Look at runs of the loop."),
    Role("keys", "eucentric_model_registry._cli", "keys_app", "hub", "Make and show signing keys."),
    Role("models", "eucentric.models", "app", "hub", "Look at registered models; apply one to a file."),
    Role("hub", "eucentric.hub", "app", "hub", "Set up and run a site's hub, copy it, put it back."),
    Role("dashboard", "eucentric_dashboard._cli", "app", "dashboard", "Serve the web page."),
)


def run_role(role: Role, arguments: list[str]) -> NoReturn:
    """Import a room and run its command.

    Raises:
        UnsupportedError: the room, or a package it needs, is not installed here.
        SystemExit: with the command's exit status.
    """
    try:
        found = getattr(importlib.import_module(role.module), role.attribute)
        command = typer.main.get_command(_below_root(role.name, found))
        command.main(args=[role.name, *arguments], prog_name="eucentric")
    except ModuleNotFoundError as error:
        missing = error.name or "a package"
        if missing.startswith("eucentric") and not role.module.startswith(missing):
            raise  # a fault of ours, not of the installation
        raise UnsupportedError(
            f"`eucentric {role.name}` needs {missing}, which is not installed on this machine.",
            safe="nothing was started.",
            next_step=f"pip install 'eucentric[{role.extra}]'",
            extra=role.extra,
            missing=missing,
        ) from error
    raise SystemExit(0)


def _below_root(name: str, found: typer.Typer | Callable[..., None]) -> typer.Typer:
    root = typer.Typer(add_completion=False)
    # A root with a callback keeps the name of its only command.
    root.callback()(lambda: None)
    if isinstance(found, typer.Typer):
        root.add_typer(found, name=name)
    else:
        root.command(name)(found)
    return root
