"""What people do to policies: `eucentric policy ls|enable|disable|pause-all|fire|approve|reject`."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eucentric_core import Settings, clear_errors, load_settings, utc_now

from ._policy_files import AsJson, Config, find_policy

if TYPE_CHECKING:
    from ..engine import DecisionView, PolicyStore

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
    from ..engine import PolicyStore, Switches, policies_file, why_resident
    from ..policy import explain, load_policies

    with clear_errors():
        settings = load_settings(config)
        policies = load_policies(settings.policies_path)
        with PolicyStore(policies_file(settings)) as store:
            off = {policy.name: Switches(store).why_off(policy) for policy in policies}
    why = {policy.name: why_resident(policy, policies) for policy in policies}
    if as_json:
        found = [
            {
                "policy": policy.name,
                "model": policy.model,
                "on": off[policy.name] is None,
                "why_off": off[policy.name],
                "decided_by": "prefect" if why[policy.name] is None else "engine",
                "why_engine": why[policy.name],
                "explanation": explain(policy),
            }
            for policy in policies
        ]
        typer.echo(json.dumps(found))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("policy", "model", "", "decided by", "what it does")
    for policy in policies:
        state = "[green]on[/]" if off[policy.name] is None else f"[red]off[/]: {off[policy.name]}"
        decides = "Prefect" if why[policy.name] is None else "engine"
        table.add_row(policy.name, policy.model, state, decides, explain(policy))
    Console().print(table)


def enable(
    policy: Annotated[str, typer.Argument(help="Policy file (TOML) to take into use, or name of a policy.")],
    config: Config = None,
    by: _By = None,
    because: _Because = "",
) -> None:
    """Switch a policy on. A file is checked and copied to the hub's policies first; no restart is needed."""
    with clear_errors():
        settings = load_settings(config)
        if policy.endswith(".toml"):
            name = _take_into_use(settings, Path(policy))
        else:
            name = find_policy(settings, policy).name
        _turn(settings, name, on=True, by=by, because=because)
    typer.echo(f"Policy {name} is on.")


def _take_into_use(settings: Settings, path: Path) -> str:
    from eucentric_core import write_atomic

    from .._policy_references import check_policy
    from ..policy import PolicyError, load_policies, load_policy

    policy = check_policy(path)
    folder = settings.policies_path
    folder.mkdir(parents=True, exist_ok=True)
    load_policies(folder)
    target = next(
        (found for found in sorted(folder.glob("*.toml")) if load_policy(found).name == policy.name),
        folder / f"{policy.name}.toml",
    )
    if target.exists() and load_policy(target).name != policy.name:
        raise PolicyError(
            f"{target} exists and declares another policy.",
            safe="nothing was changed.",
            next_step="rename that file after its policy.",
        )
    if target.resolve() != path.resolve():
        write_atomic(target, path.read_bytes())
    return policy.name


def disable(name: _Name, config: Config = None, by: _By = None, because: _Because = "") -> None:
    """Switch a policy off; a run that has begun goes on."""
    with clear_errors():
        settings = load_settings(config)
        _turn(settings, find_policy(settings, name).name, on=False, by=by, because=because)
    typer.echo(f"Policy {name} is off. A run that has begun goes on.")


def pause_all(config: Config = None, by: _By = None, because: _Because = "") -> None:
    """Let no policy act until `resume-all`; runs that have begun go on."""
    from ..engine import PolicyStore, Switches, policies_file

    with clear_errors(), PolicyStore(policies_file(load_settings(config))) as store:
        Switches(store).pause_all(_person(by), because, utc_now())
    typer.echo("All policies are paused. Runs that have begun go on.")


def resume_all(config: Config = None, by: _By = None) -> None:
    """End the pause: every policy is again as it was switched itself."""
    from ..engine import PolicyStore, Switches, policies_file

    with clear_errors(), PolicyStore(policies_file(load_settings(config))) as store:
        Switches(store).resume_all(_person(by), utc_now())
    typer.echo("Policies act again, except those that are off themselves.")


def fire(
    name: _Name,
    config: Config = None,
    by: _By = None,
    session: Annotated[str | None, typer.Option(help="Session to act on.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set to act on.")] = None,
) -> None:
    """Ask for what a policy with a manual trigger does. Its guards hold all the same."""
    from eucentric_core import PolicyRequested

    from .._event_outbox import EventOutbox, outbox_path
    from ..policy import PolicyError

    with clear_errors():
        settings = load_settings(config)
        policy = find_policy(settings, name)
        event = PolicyRequested(
            source="hub", policy=policy.name, requested_by=_person(by), session=session, dataset_id=dataset
        )
        if event.kind not in policy.trigger.hears:
            raise PolicyError(
                f"Policy {name} has no manual trigger.",
                safe="nothing was asked for.",
                next_step="add one beside its own: kind = 'any' with of = [{ kind = 'manual' }, ...].",
            )
        outbox = EventOutbox(outbox_path(settings))
        try:
            outbox.add(event)
        finally:
            outbox.close()
    typer.echo(f"Asked for as {event.id}. `eucentric policy history {name}` says what becomes of it.")


def approve(name: _Name, event: _Which = None, config: Config = None, by: _By = None) -> None:
    """Say yes to a firing that awaits approval."""
    _answer(name, event, config, by, approved=True)


def reject(name: _Name, event: _Which = None, config: Config = None, by: _By = None) -> None:
    """Say no to a firing that awaits approval."""
    _answer(name, event, config, by, approved=False)


def _answer(name: str, event: str | None, config: Path | None, by: str | None, *, approved: bool) -> None:
    from ..engine import Answers, PolicyStore, policies_file
    from ..policy import Answer

    with clear_errors(), PolicyStore(policies_file(load_settings(config))) as store:
        found = _awaiting(store, name, event)
        Answers(store).give(name, found.occurrence, Answer(approved=approved, by=_person(by)))
    typer.echo(f"{'Approved' if approved else 'Rejected'}: {name} on {found.occurrence}.")


def _awaiting(store: PolicyStore, name: str, event: str | None) -> DecisionView:
    from ..engine import History
    from ..policy import PolicyError

    waiting = History(store).newest(policy=name, occurrence=event, statuses=("awaiting",))
    if len(waiting) == 1:
        return waiting[0]
    what = "Nothing of" if not waiting else f"{len(waiting)} firings of"
    raise PolicyError(
        f"{what} policy {name} awaits approval{f' under {event}' if event else ''}.",
        safe="nothing was changed.",
        next_step=f"see `eucentric policy history {name}`; name the event if there are several.",
    )


def _turn(settings: Settings, name: str, *, on: bool, by: str | None, because: str) -> None:
    from ..engine import PolicyStore, Switch, Switches, policies_file

    switch = Switch(turned_on=on, person=_person(by), reason=because, at_utc=utc_now())
    with PolicyStore(policies_file(settings)) as store:
        Switches(store).turn(name, switch)


def _person(by: str | None) -> str:
    return by or getpass.getuser()
