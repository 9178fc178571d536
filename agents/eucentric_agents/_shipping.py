"""What `eucentric agent shipping` and `retry-stuck` ask: the agent, or its outbox while none runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import JsonValue
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eucentric_core import ConfigurationError, Settings, console_path, read_console
from eucentric_core.transport import PyroControlClient

from .data import RetryStuck, ShippingReport
from .recording import Ledger, ShipperStatus

__all__ = ["print_shipping", "read_shipping", "retry_stuck"]

_TIMEOUT_S = 10.0
_CLIENT = "shipping"


def read_shipping(settings: Settings) -> ShippingReport:
    """Backlog, progress, and what is stuck and why.

    Raises:
        EucentricError: the agent does not answer, or its outbox cannot be read.
    """
    if console_path(settings.home).exists():
        return ShippingReport.model_validate(_ask(settings, "shipping.status", {}))
    with _outbox(settings) as ledger:
        backlog = ledger.backlog()
        pending, pending_bytes = backlog.get("pending", (0, 0))
        status = ShipperStatus(
            state="stopped",
            pending_shards=pending,
            pending_bytes=pending_bytes,
            awaiting_receipt=backlog.get("delivered", (0, 0))[0],
            confirmed=sum(backlog.get(state, (0, 0))[0] for state in ("confirmed", "done")),
            stuck=backlog.get("stuck", (0, 0))[0],
            failures=0,
        )
        return ShippingReport(ship_to=settings.agent.ship_to, shipper=status, stuck=tuple(ledger.stuck()))


def retry_stuck(settings: Settings, name: str | None) -> tuple[str, ...]:
    """Have one stuck shard sent again, or all of them; returns their names.

    Raises:
        ConfigurationError: no such shard is stuck.
        EucentricError: the agent does not answer, or its outbox cannot be written.
    """
    if console_path(settings.home).exists():
        answer = _ask(settings, "shipping.retry", RetryStuck(name=name).model_dump(mode="json"))
        listed = answer["names"]
        names = tuple(str(one) for one in listed) if isinstance(listed, list) else ()
    else:
        with _outbox(settings) as ledger:
            names = ledger.retry_stuck(name)
    if name is not None and not names:
        raise ConfigurationError(
            f"{name[:200]!r} is not stuck.",
            safe="nothing was changed.",
            next_step="`eucentric agent shipping` lists what is.",
        )
    return names


def print_shipping(report: ShippingReport, *, console: Console | None = None) -> None:
    """Show what `read_shipping` returned."""
    console = console or Console()
    status = report.shipper
    if status is None:
        console.print("Recordings stay on this machine: agent.ship_to is not set.")
        return
    table = Table(title=f"shipping to {escape(report.ship_to or 'nowhere')}", show_header=False)
    for name, value in _facts(status):
        table.add_row(name, escape(value))
    console.print(table)
    if not report.stuck:
        return
    stuck = Table("stuck", "failures", "why", "what to do")
    for entry in report.stuck:
        why, then = (entry.error.what, entry.error.next_step) if entry.error else ("not kept", "")
        stuck.add_row(escape(entry.name), str(entry.failures), escape(why), escape(then))
    console.print(stuck)
    console.print("Send again: `eucentric agent retry-stuck NAME`, or --all.")


def _facts(status: ShipperStatus) -> Iterator[tuple[str, str]]:
    yield "state", status.state
    if status.outage_s is not None:
        yield "nothing arrives since", _duration(status.outage_s)
    if status.error is not None:
        yield "because", f"{status.error.what} Next: {status.error.next_step}"
    yield "to be sent", f"{status.pending_shards} shards, {status.pending_bytes / 1e6:.1f} MB"
    if status.sending is not None:
        yield (
            "on its way",
            f"{status.sending}: {status.sent_bytes / 1e6:.1f} of {status.sending_bytes / 1e6:.1f} MB",
        )
    if status.rate_bytes_per_s is not None:
        yield "rate", f"{status.rate_bytes_per_s / 1e6:.1f} MB/s"
    if status.eta_s is not None:
        yield "all sent in about", _duration(status.eta_s)
    yield "await a receipt", str(status.awaiting_receipt)
    yield "in the repository", str(status.confirmed)
    yield "stuck", str(status.stuck)
    if status.last_success_utc is not None:
        yield "last success", status.last_success_utc.isoformat(timespec="seconds")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _ask(settings: Settings, method: str, payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
    port, token = read_console(settings.home)
    client = PyroControlClient("127.0.0.1", port, timeout_s=_TIMEOUT_S, token=token)
    with closing(client):
        return client.call(method, {"client": _CLIENT, **payload})


@contextmanager
def _outbox(settings: Settings) -> Iterator[Ledger]:
    path = Path(settings.home) / "agent" / "recording" / "journal.sqlite"
    if not path.is_file():
        raise ConfigurationError(
            f"Nothing was ever recorded in {settings.home}.",
            safe="nothing was changed.",
            next_step="give the agent's --config or --home.",
        )
    with closing(Ledger(path)) as ledger:
        yield ledger
