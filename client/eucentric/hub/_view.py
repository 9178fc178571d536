"""How a hub stands, as a table that a tired operator can read."""

from __future__ import annotations

from datetime import datetime, timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ._report import HubReport, ServiceReport

__all__ = ["print_report"]

_STYLES = {"up": "green", "starting": "yellow", "waiting": "yellow", "resting": "yellow"}


def print_report(report: HubReport, now: datetime) -> None:
    """Services, then what waits and what expires, then what is wrong."""
    console = Console(highlight=False)
    table = Table("service", "state", "up for", "version", "process", "restarts", title=f"hub {report.name}")
    for service in report.services:
        table.add_row(*_row(service, now))
    console.print(table)
    facts = Table.grid(padding=(0, 2))
    facts.add_row("disk", f"{report.free_bytes / 2**30:.1f} GiB free")
    for what, count in report.waiting.items():
        facts.add_row(what, str(count))
    made = report.newest_backup_utc
    facts.add_row(
        "newest backup",
        "none" if made is None else f"{made:%Y-%m-%d %H:%M} UTC, {_span(now - made)} ago",
    )
    for expiry in report.expiries:
        left = expiry.left_days(now)
        facts.add_row(
            expiry.what,
            f"until {expiry.until_utc:%Y-%m-%d}, " + ("EXPIRED" if left < 0 else f"{left:.0f} days left"),
        )
    console.print(facts)
    for problem in report.problems:
        console.print(Text.assemble(("! ", "bold red"), problem))
    if not report.problems:
        console.print(Text("all is well", style="green"))


def _row(service: ServiceReport, now: datetime) -> tuple[Text | str, ...]:
    return (
        service.name,
        Text(service.state, style=_STYLES.get(service.state, "bold red")),
        "" if service.up_since_utc is None else _span(now - service.up_since_utc),
        service.version,
        "" if service.pid is None else str(service.pid),
        "" if service.restarts is None else str(service.restarts),
    )


def _span(span: timedelta) -> str:
    seconds = max(0, round(span.total_seconds()))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
