"""What `eucentric agent status` reads and how it shows it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.table import Table

from eucentric_core import Capabilities, CommandEnvelope, LeaseStatus
from eucentric_core.transport import PyroControlClient
from eucentric_core.vocabulary import InstrumentState, StateGet

__all__ = ["print_status", "read_status"]

_TIMEOUT_S = 5.0


def read_status(host: str, control_port: int) -> dict[str, Any]:
    """Everything an observer may know of an agent, as plain JSON.

    Raises:
        ServiceUnavailableError: nobody answers there.
    """
    client = PyroControlClient(host, control_port, timeout_s=_TIMEOUT_S)
    try:
        envelope = CommandEnvelope(command=StateGet(), client="status", idempotency_key=uuid4().hex)
        return {
            "agent": client.call("ping", {}),
            "capabilities": client.call("describe", {}),
            "lease": client.call("lease.status", {}),
            "state": client.call("execute", envelope.model_dump(mode="json")),
        }
    finally:
        client.close()


def print_status(facts: dict[str, Any], *, console: Console | None = None) -> None:
    """Show what `read_status` returned as a table."""
    capabilities = Capabilities.model_validate(facts["capabilities"])
    lease = LeaseStatus.model_validate(facts["lease"])
    state = InstrumentState.model_validate(facts["state"])
    table = Table(title=f"{capabilities.instrument}: {capabilities.model}", show_header=False)
    for name, value in (
        ("agent", facts["agent"]["state"]),
        ("simulated", "yes" if state.simulated else "no"),
        ("session", state.session or "none"),
        ("read", f"{state.age_s:.1f} s ago; the instrument is at work" if state.age_s else "just now"),
        ("scanning", "yes" if state.scanning else "no"),
        ("last scan", state.fault.what if state.fault else "no fault"),
        ("beam", "blanked" if state.beam_blanked else "ON"),
        ("acquisitions", str(state.next_sequence)),
        ("field of view", f"{state.optics.field_of_view_m * 1e9:.3f} nm"),
        ("stage", f"x {state.stage.x_m * 1e9:.2f} nm, y {state.stage.y_m * 1e9:.2f} nm"),
        ("dose here", "unknown" if state.dose_e_per_a2 is None else f"{state.dose_e_per_a2:.3g} e/Å²"),
        ("lease", f"{lease.holder}, {lease.remaining_s:.0f} s left" if lease.holder else "free"),
        ("verbs", ", ".join(capabilities.verbs)),
    ):
        table.add_row(name, value)
    (console or Console()).print(table)
