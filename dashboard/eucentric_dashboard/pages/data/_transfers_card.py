"""What is on its way from the instrument to the repository: backlog, rate, when it is done, what is stuck."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from nicegui import ui
from pydantic import ValidationError

from eucentric_agents.data import ShippingReport, duration, shipping_troubles
from eucentric_core import Settings
from eucentric_core.transport import PyroControlClient

from ..._another_version import another_version
from ..._shared_reading import SharedReading
from ...site import heading
from ...widgets import ReadingNotice, chip

__all__ = ["TransfersCard", "shipping_reading", "transfer_facts"]

_FRESH_S = 2.0
_TIMEOUT_S = 3.0
_SHOWN_STUCK = 8


def shipping_reading(settings: Settings) -> SharedReading[ShippingReport]:
    """What the agent of these settings says about shipping."""

    def read() -> ShippingReport:
        agent = settings.agent
        control = PyroControlClient(
            agent.host, agent.control_port, timeout_s=_TIMEOUT_S, credentials=settings.client.tls
        )
        with closing(control):
            answer = control.call("shipping.status", {"client": "dashboard"})
        try:
            return ShippingReport.model_validate(answer)
        except ValidationError as error:
            raise another_version("agent", safe="shipping goes on.") from error

    return SharedReading(read, fresh_s=_FRESH_S)


def transfer_facts(report: ShippingReport) -> Iterator[tuple[str, str]]:
    """Names and values, for people. Pure."""
    status = report.shipper
    if report.open_bytes:
        yield "being recorded", f"{report.open_bytes / 1e6:.1f} MB, not sealed yet"
    if status is None:
        yield "kept here", f"{report.kept} shards; agent.ship_to is not set"
        return
    yield "backlog", f"{status.pending_shards} shards, {status.pending_bytes / 1e6:.1f} MB"
    if status.rate_bytes_per_s is not None:
        yield "rate", f"{status.rate_bytes_per_s / 1e6:.1f} MB/s"
    if status.eta_s is not None:
        yield "all sent in about", duration(status.eta_s)
    yield "sent, hash not confirmed yet", str(status.awaiting_receipt)
    yield "hash confirmed by the repository", str(status.confirmed)
    if status.last_success_utc is not None:
        yield "last success", f"{status.last_success_utc:%Y-%m-%d %H:%M:%S} UTC"
    yield from shipping_troubles(status)


class TransfersCard:
    """`refresh` every second."""

    def __init__(self, reading: SharedReading[ShippingReport]) -> None:
        self._reading = reading
        self._shown: ShippingReport | None = None
        with ui.element("section").classes("card").mark("transfers"):
            heading("Transfers")
            self._notice = ReadingNotice(
                "The agent", back="`eucentric agent shipping` at the instrument says the same without it."
            )
            self._place = ui.element("div").style("width:100%; margin-top:8px")

    def refresh(self) -> None:
        """Show what the agent said last."""
        reading = self._reading.look()
        self._notice.show(reading)
        report = reading.value
        if report is None or report == self._shown:
            return
        self._shown = report
        self._place.clear()
        with self._place:
            self._build(report)

    def _build(self, report: ShippingReport) -> None:
        status = report.shipper
        with ui.element("div").classes("line"):
            state = "not shipping" if status is None else status.state
            tones = {"idle": "done", "shipping": "active", "retrying": "waiting", "failed": "failed"}
            chip(state, tones.get(state, ""))  # type: ignore[arg-type]
            ui.label(f"to {report.ship_to}" if report.ship_to else "recordings stay at the instrument")
        if status is not None and status.sending is not None and status.sending_bytes:
            share = status.sent_bytes / status.sending_bytes
            ui.label(f"{status.sending}: {share:.0%}").classes("muted")
            ui.linear_progress(share, show_value=False).props('aria-label="file on its way"')
        with ui.element("dl").classes("facts-list"):
            for name, value in transfer_facts(report):
                with ui.element("dt"):
                    ui.label(name)
                with ui.element("dd"):
                    ui.label(value)
        for entry in report.stuck[:_SHOWN_STUCK]:
            why = "not kept" if entry.error is None else f"{entry.error.what} Next: {entry.error.next_step}"
            with ui.element("div").classes("notice warning"):
                ui.label(f"{entry.name} is stuck after {entry.failures} failures.").classes("what")
                ui.label(f"Safe: the file is kept at the instrument. {why}").classes("then")
