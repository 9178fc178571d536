"""`eucentric policy check|explain|backtest`: what a policy file says, and what it would have done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eucentric_core import clear_errors, load_settings

if TYPE_CHECKING:
    from ..policy import Backtest, PolicyError

__all__ = ["STYLES", "AsJson", "Config", "back_test", "check", "explain_file"]

Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
STYLES = {"fired": "green", "deferred": "yellow", "awaiting": "yellow", "held": "red", "expired": "red"}


def check(
    files: Annotated[list[Path], typer.Argument(help="Policy files (TOML).")],
    as_json: AsJson = False,
) -> None:
    """Say whether policy files can be used; if not: line, column, reason and the word that was meant."""
    from .._policy_references import check_policy
    from ..policy import PolicyError

    report: list[dict[str, object]] = []
    for file in files:
        try:
            policy = check_policy(file)
        except PolicyError as error:
            problems = [problem.model_dump(mode="json") for problem in error.problems]
            report.append({"file": str(file), "valid": False, "problems": problems})
            if not as_json:
                _show_problems(file, error)
        else:
            report.append({"file": str(file), "valid": True, "policy": policy.name, "problems": []})
            if not as_json:
                off = "" if policy.enabled else " (disabled)"
                typer.echo(f"{file}: policy {policy.name} is valid{off}.")
    if as_json:
        typer.echo(json.dumps(report))
    if not all(entry["valid"] for entry in report):
        raise typer.Exit(2)


def _show_problems(file: Path, error: PolicyError) -> None:
    if not error.problems:
        typer.echo(f"error: {error.what}\n  next: {error.next_step}", err=True)
        return
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    for problem in error.problems:
        typer.echo(f"{file}, {problem.sentence}", err=True)
        if problem.line <= len(lines):
            source = lines[problem.line - 1].expandtabs(1)
            typer.echo(f"  {problem.line:4d} | {source}\n       | {' ' * (problem.column - 1)}^", err=True)


def explain_file(
    policy: Annotated[str, typer.Argument(help="Policy file (TOML), or name of a policy of this hub.")],
    config: Config = None,
) -> None:
    """Say in one sentence what a policy does."""
    from ..desk import find_policy
    from ..policy import explain

    with clear_errors():
        typer.echo(explain(find_policy(load_settings(config), policy)))


def back_test(
    policy: Annotated[str, typer.Argument(help="Policy file (TOML), or name of a policy of this hub.")],
    config: Config = None,
    days: Annotated[float, typer.Option(min=0.001, max=366, help="How many days back.")] = 7.0,
    run_s: Annotated[
        float | None,
        typer.Option(min=1, help="How long a run takes (s); by default the median of those recorded."),
    ] = None,
    approval: Annotated[
        bool, typer.Option(help="Whether a person would have approved at once, or never.")
    ] = True,
    everything: Annotated[
        bool, typer.Option("--all", help="Also events that were not enough for the trigger.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a policy would have done with the events of the last days. Nothing is run."""
    from .._policy_references import check_policy
    from ..desk import back_test_policy, find_policy, usual_run_s

    with clear_errors():
        settings = load_settings(config)
        wanted = find_policy(settings, policy)
        if policy.endswith(".toml"):
            check_policy(Path(policy))
        length_s = run_s or usual_run_s(settings, wanted.model)
        outcome = back_test_policy(settings, wanted, days=days, run_s=length_s, approve=approval)
    if as_json:
        typer.echo(json.dumps({**outcome.model_dump(mode="json"), "counts": dict(outcome.counts)}))
    else:
        _show_backtest(outcome, length_s, everything=everything)


def _show_backtest(outcome: Backtest, run_s: float, *, everything: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from ..desk import back_test_sentence

    console = Console()
    table = Table("time (UTC)", "decision", "event", "why")
    for decision in outcome.decisions:
        if decision.status != "not_met" or everything:
            table.add_row(
                f"{decision.at_utc:%Y-%m-%d %H:%M:%S}",
                f"[{STYLES.get(decision.status, 'dim')}]{decision.status.replace('_', ' ')}[/]",
                decision.event_kind or "clock",
                decision.reason,
            )
    if table.row_count:
        console.print(table)
    console.print(back_test_sentence(outcome, run_s))
