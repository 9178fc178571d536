"""`eucentric policy history`: afterwards, why each thing happened."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from eucentric_core import clear_errors, load_settings, utc_now

from ._policy_files import STYLES, AsJson, Config

if TYPE_CHECKING:
    from ..policy import Status

__all__ = ["history"]

_DECIDED: tuple[Status, ...] = ("fired", "held", "deferred", "awaiting", "rejected", "expired")


def history(
    policy: Annotated[str | None, typer.Argument(help="Only of this policy.")] = None,
    config: Config = None,
    event: Annotated[
        str | None,
        typer.Option("--event", help="Only of this event or run, with every step to the decision."),
    ] = None,
    days: Annotated[float, typer.Option(min=0.001, max=3660, help="How many days back.")] = 30.0,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 30,
    everything: Annotated[
        bool, typer.Option("--all", help="Also events that were not enough for the trigger.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what the policies decided and why: fired, held back, put off, awaiting a person."""
    from ..engine import History, PolicyStore, policies_file

    statuses = () if everything or event else _DECIDED
    with clear_errors(), PolicyStore(policies_file(load_settings(config))) as store:
        found = History(store).newest(
            policy=policy,
            occurrence=event,
            statuses=statuses,
            since=utc_now() - timedelta(days=days),
            limit=limit,
        )
    if as_json:
        typer.echo(json.dumps([decision.model_dump(mode="json") for decision in found]))
        return
    if not found:
        typer.echo("Nothing was decided in that time.")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("time (UTC)", "policy", "decision", "event", "why")
    for decision in found:
        steps = decision.steps if event else decision.steps[-1:]
        for step in steps:
            table.add_row(
                f"{step.at_utc:%Y-%m-%d %H:%M:%S}",
                decision.policy,
                f"[{STYLES.get(step.status, 'dim')}]{step.status.replace('_', ' ')}[/]",
                f"{decision.event_kind or 'clock'}\n{decision.occurrence}",
                step.reason,
            )
    Console().print(table)
