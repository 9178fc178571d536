"""What `eucentric agent shipping` and `retry-stuck` ask: the agent, or its outbox while none runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import JsonValue
from rich.console import Console
from rich.markup import escape

from eucentric_core import ConfigurationError, Settings, console_path, read_console
from eucentric_core.transport import PyroControlClient

from ._home_lock import agent_runs
from .data import RetryStuck, ShippingReport, duration, shipping_troubles, size_of_open_shards
from .recording import Ledger, ShipperStatus

__all__ = ["print_shipping", "read_shipping", "retry_stuck"]

_TIMEOUT_S = 10.0
_CLIENT = "shipping"


def read_shipping(settings: Settings) -> ShippingReport:
    """Backlog, progress, and what is stuck and why.

    Raises:
        EucentricError: the agent does not answer, or its outbox cannot be read.
    """
    if _answers(settings):
        return ShippingReport.model_validate(_ask(settings, "shipping.status", {}))
    with _outbox(settings) as ledger:
        backlog = ledger.backlog()
        stuck, stuck_count = tuple(ledger.stuck()), ledger.stuck_count()
    status = ShipperStatus(
        state="stopped",
        pending_shards=backlog.get("pending", (0, 0))[0],
        pending_bytes=backlog.get("pending", (0, 0))[1],
        awaiting_receipt=backlog.get("delivered", (0, 0))[0],
        confirmed=sum(backlog.get(state, (0, 0))[0] for state in ("confirmed", "done")),
        stuck=stuck_count,
        failures=0,
    )
    ships = settings.agent.ship_to is not None
    return ShippingReport(
        ship_to=settings.agent.ship_to,
        shipper=status if ships else None,
        stuck=stuck,
        agent_runs=False,
        kept=status.pending_shards + status.stuck,
        open_bytes=size_of_open_shards(settings),
    )


def retry_stuck(settings: Settings, name: str | None) -> tuple[str, ...]:
    """Have one stuck shard sent again, or all of them; returns their names.

    Raises:
        ConfigurationError: no such shard is stuck.
        EucentricError: the agent does not answer, or its outbox cannot be written.
    """
    if _answers(settings):
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


def print_shipping(report: ShippingReport, home: Path, *, console: Console | None = None) -> None:
    """Show what `read_shipping` returned. Lines are never cut: names are there to be typed again.

    Args:
        report: what to show.
        home: the agent's.
        console: where to.
    """
    console = console or Console()
    for line in _lines(report, home):
        console.print(escape(line), soft_wrap=True, highlight=False)


def _lines(report: ShippingReport, home: Path) -> Iterator[str]:
    if not report.agent_runs:
        yield "The agent is not running: this is what its outbox says."
    status = report.shipper
    if status is None:
        yield f"Recordings stay on this machine ({report.kept} shards): agent.ship_to is not set."
        return
    yield f"shipping to {report.ship_to or 'nowhere'}"
    facts = [("state", status.state)] if report.agent_runs else []
    for name, value in (*facts, *_facts(status), *_open(report)):
        yield f"  {name:<22} {value}"
    for entry in report.stuck:
        why, then = (entry.error.what, entry.error.next_step) if entry.error else ("not kept", "")
        file = home / "agent" / "recording" / "shards" / entry.name
        yield f"stuck after {entry.failures} failures: {entry.name}"
        yield f"  why   {why}"
        yield f"  next  {then}"
        if file.exists():
            yield f"  file  {file}"
    if report.stuck:
        yield "Send again: `eucentric agent retry-stuck NAME`, or --all."


def _open(report: ShippingReport) -> Iterator[tuple[str, str]]:
    if report.open_bytes:
        yield "not sealed yet", f"{report.open_bytes / 1e6:.1f} MB"


def _facts(status: ShipperStatus) -> Iterator[tuple[str, str]]:
    yield from shipping_troubles(status)
    yield "to be sent", f"{status.pending_shards} shards, {status.pending_bytes / 1e6:.1f} MB"
    if status.sending is not None:
        yield (
            "on its way",
            f"{status.sending}: {status.sent_bytes / 1e6:.1f} of {status.sending_bytes / 1e6:.1f} MB",
        )
    if status.rate_bytes_per_s is not None:
        yield "rate", f"{status.rate_bytes_per_s / 1e6:.1f} MB/s"
    if status.eta_s is not None:
        yield "all sent in about", duration(status.eta_s)
    yield "await a receipt", str(status.awaiting_receipt)
    yield "in the repository", str(status.confirmed)
    yield "stuck", str(status.stuck)
    if status.last_success_utc is not None:
        yield "last success", status.last_success_utc.isoformat(timespec="seconds")


def _answers(settings: Settings) -> bool:
    # The file alone says nothing: an agent that was killed leaves it behind.
    return console_path(settings.home).exists() and agent_runs(settings.home)


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
