"""What people do to policies: `eucentric policy ls|enable|disable|pause-all|fire|approve|reject`."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Annotated

import typer

from eucentric_core import clear_errors, load_settings

from ._policy_files import AsJson, Config

__all__ = ["approve", "disable", "enable", "fire", "list_policies", "pause_all", "reject", "resume_all"]

_Name = Annotated[str, typer.Argument(help="Name of a policy of this hub.")]
_By = Annotated[str | None, typer.Option("--by", help="Who you are; by default who is logged in.")]
_Because = Annotated[str, typer.Option("--because", help="Why; the history keeps it.")]
_Which = Annotated[
    str | None,
    typer.Argument(help="Event id, as `eucentric policy history` shows it; needed if several wait."),
]


def list_policies(config: Config = None, as_json: AsJson = False) -> None:
    """List the policies of this hub: on or off, and who decides about them."""
    from ..desk import policy_standings

    with clear_errors():
        settings = load_settings(config)
        standings = policy_standings(settings)
    if as_json:
        found = [
            {
                "policy": one.policy.name,
                "model": one.policy.model,
                "on": one.why_off is None,
                "why_off": one.why_off,
                "decided_by": "prefect" if one.why_engine is None else "engine",
                "why_engine": one.why_engine,
                "explanation": one.explanation,
            }
            for one in standings
        ]
        typer.echo(json.dumps(found))
        return
    if not standings:
        typer.echo(
            f"No policies in {settings.policies_path} yet: `eucentric policy enable FILE` takes one into use."
        )
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("policy", "model", "", "decided by", "what it does")
    for one in standings:
        state = "[green]on[/]" if one.why_off is None else f"[red]off[/]: {one.why_off}"
        decides = "Prefect" if one.why_engine is None else "engine"
        table.add_row(one.policy.name, one.policy.model, state, decides, one.explanation)
    Console().print(table)


def enable(
    policy: Annotated[str, typer.Argument(help="Policy file (TOML) to take into use, or name of a policy.")],
    config: Config = None,
    by: _By = None,
    because: _Because = "",
) -> None:
    """Switch a policy on. A file is checked and copied to the hub's policies first; no restart is needed."""
    from ..desk import find_policy, switch_policy, take_into_use
    from ..policy import read_policy_text

    with clear_errors():
        settings = load_settings(config)
        if policy.endswith(".toml"):
            name = take_into_use(settings, read_policy_text(Path(policy)), policy).name
        else:
            name = find_policy(settings, policy).name
        switch_policy(settings, name, on=True, by=_person(by), because=because)
    typer.echo(f"Policy {name} is on.")


def disable(name: _Name, config: Config = None, by: _By = None, because: _Because = "") -> None:
    """Switch a policy off; a run that has begun goes on."""
    from ..desk import switch_policy

    with clear_errors():
        switch_policy(load_settings(config), name, on=False, by=_person(by), because=because)
    typer.echo(f"Policy {name} is off. A run that has begun goes on.")


def pause_all(config: Config = None, by: _By = None, because: _Because = "") -> None:
    """Let no policy act until `resume-all`; runs that have begun go on."""
    from ..desk import pause_policies

    with clear_errors():
        pause_policies(load_settings(config), by=_person(by), because=because)
    typer.echo("All policies are paused. Runs that have begun go on.")


def resume_all(config: Config = None, by: _By = None) -> None:
    """End the pause: every policy is again as it was switched itself."""
    from ..desk import resume_policies

    with clear_errors():
        resume_policies(load_settings(config), by=_person(by))
    typer.echo("Policies act again, except those that are off themselves.")


def fire(
    name: _Name,
    config: Config = None,
    by: _By = None,
    session: Annotated[str | None, typer.Option(help="Session to act on.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set to act on.")] = None,
) -> None:
    """Ask for what a policy with a manual trigger does. Its guards hold all the same."""
    from ..desk import fire_policy

    with clear_errors():
        event = fire_policy(load_settings(config), name, by=_person(by), session=session, dataset_id=dataset)
    typer.echo(f"Asked for as {event}. `eucentric policy history {name}` says what becomes of it.")


def approve(
    name: _Name, event: _Which = None, config: Config = None, by: _By = None, because: _Because = ""
) -> None:
    """Say yes to a firing that awaits approval."""
    _answer(name, event, config, by, because, approved=True)


def reject(
    name: _Name, event: _Which = None, config: Config = None, by: _By = None, because: _Because = ""
) -> None:
    """Say no to a firing that awaits approval."""
    _answer(name, event, config, by, because, approved=False)


def _answer(
    name: str, event: str | None, config: Path | None, by: str | None, because: str, *, approved: bool
) -> None:
    from ..desk import answer_firing

    with clear_errors():
        occurrence = answer_firing(
            load_settings(config), name, event, approved=approved, by=_person(by), because=because
        )
    typer.echo(f"{'Approved' if approved else 'Rejected'}: {name} on {occurrence}.")


def _person(by: str | None) -> str:
    return by or getpass.getuser()
