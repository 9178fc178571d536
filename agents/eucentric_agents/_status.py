"""What `eucentric agent status` reads and how it shows it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eucentric_core import (
    Capabilities,
    CommandEnvelope,
    ConfigurationError,
    EucentricError,
    LeaseStatus,
    Settings,
    is_loopback,
)
from eucentric_core.transport import PyroControlClient
from eucentric_core.vocabulary import InstrumentState, StateGet

from ._console import read_console
from .data import describe_data

__all__ = ["print_status", "read_status"]

_TIMEOUT_S = 5.0
_TRIPS_SHOWN = 3


def read_status(settings: Settings, *, console: bool = False) -> dict[str, Any]:
    """Everything an observer may know of this machine's agent, as plain JSON.

    Where the network does not let them in, the local console does, if this user may use it; `asked` says
    so. That is how it is, too, where the agent has keys and this user has no certificate.

    Args:
        settings: where the agent is, and who asks (`client.tls`).
        console: ask over the local console.

    Raises:
        ServiceUnavailableError: nobody answers there.
        NotAuthorisedError: the certificate is not accepted.
        ConfigurationError: the certificate is unusable, or no console can be reached.
    """
    if console:
        return _read(_console_client(settings), "local console")
    try:
        return _read(_network_client(settings), "network")
    except EucentricError as error:
        with suppress(EucentricError):
            return _read(_console_client(settings), f"local console; over the network: {error.what}")
        raise


def _read(client: PyroControlClient, asked: str) -> dict[str, Any]:
    try:
        envelope = CommandEnvelope(command=StateGet(), client="status", idempotency_key=uuid4().hex)
        return {
            "asked": asked,
            "agent": client.call("ping", {}),
            "capabilities": client.call("describe", {}),
            "lease": client.call("lease.status", {}),
            "interlocks": client.call("interlocks.show", {}),
            "state": client.call("execute", envelope.model_dump(mode="json")),
            "data": _read_data(client),
        }
    finally:
        client.close()


def _read_data(client: PyroControlClient) -> dict[str, Any]:
    # The instrument is shown whether its data process runs or not.
    try:
        shipping = client.call("shipping.status", {})
        return {**client.call("data.status", {}), "shipping": shipping}
    except EucentricError as error:
        return {"trouble": error.what}


def print_status(facts: dict[str, Any], *, console: Console | None = None) -> None:
    """Show what `read_status` returned as a table."""
    capabilities = Capabilities.model_validate(facts["capabilities"])
    lease = LeaseStatus.model_validate(facts["lease"])
    state = InstrumentState.model_validate(facts["state"])
    field_m = state.optics.field_of_view_m
    table = Table(title=f"{capabilities.instrument}: {capabilities.model}", show_header=False)
    for name, value in (
        ("agent", facts["agent"]["state"]),
        ("asked over", facts["asked"] if facts["asked"] != "network" else ""),
        ("instrument", _kind(capabilities)),
        ("session", state.session or "none"),
        ("read", f"{state.age_s:.1f} s ago; the instrument is at work" if state.age_s else "just now"),
        ("scanning", "yes" if state.scanning else "no"),
        ("fault", state.fault.what if state.fault else "none"),
        ("beam", "blanked" if state.beam_blanked else "ON"),
        ("acquisitions", str(state.next_sequence)),
        ("field of view", "unknown" if field_m is None else f"{field_m * 1e9:.3f} nm"),
        ("stage", f"x {state.stage.x_m * 1e9:.2f} nm, y {state.stage.y_m * 1e9:.2f} nm"),
        ("scanned dose", "unknown" if state.dose_e_per_a2 is None else f"{state.dose_e_per_a2:.3g} e/Å²"),
        ("lease", _holder(lease)),
        ("for", lease.reason or ""),
        ("offered to", lease.offered_to or ""),
        ("wanted by", ", ".join(lease.wanted_by)),
        ("interlocks", _interlocks(facts["interlocks"])),
        ("last trips", _trips(facts["interlocks"])),
        ("data", describe_data(facts.get("data", {}))),
        ("verbs", ", ".join(capabilities.verbs)),
    ):
        if value:
            table.add_row(name, escape(value))
    (console or Console()).print(table)


def _network_client(settings: Settings) -> PyroControlClient:
    # An agent without keys answers on its own machine alone, and to everyone on it.
    without_keys = settings.agent.tls is None and is_loopback(settings.agent.host)
    credentials = None if without_keys else settings.client.tls
    if settings.agent.tls is not None and credentials is None:
        raise ConfigurationError(
            "The agent asks for a certificate, and these settings have none (client.tls).",
            safe="nothing was sent.",
            next_step="set client.tls, or run this on the control PC as the user whose agent it is.",
        )
    return PyroControlClient(
        settings.agent.reachable_host,
        settings.agent.control_port,
        timeout_s=_TIMEOUT_S,
        credentials=credentials,
    )


def _console_client(settings: Settings) -> PyroControlClient:
    port, token = read_console(settings.home)
    return PyroControlClient("127.0.0.1", port, timeout_s=_TIMEOUT_S, token=token)


def _kind(capabilities: Capabilities) -> str:
    said = [
        "SIMULATED" if capabilities.simulated else "",
        "untested on hardware" if capabilities.untested_on_hardware else "",
    ]
    return ", ".join(word for word in said if word) or "real"


def _holder(lease: LeaseStatus) -> str:
    if lease.holder is None:
        return "free"
    where = ", at the instrument itself" if lease.local else ""
    return f"{lease.holder} ({lease.role}){where}, {lease.remaining_s:.0f} s left"


def _interlocks(shown: dict[str, Any]) -> str:
    if "limits" not in shown:
        return "NONE"
    spent = shown.get("spent") or {}
    words = "in force" if shown.get("from_file", True) else "stage ranges only (no interlocks file)"
    if spent.get("tightened"):
        words += ", tightened"
    return f"{words}; {spent['fault']}" if spent.get("fault") else words


def _trips(shown: dict[str, Any]) -> str:
    trips = shown.get("trips") or []
    return "; ".join(f"{trip['at_utc']} {trip['what']}" for trip in trips[-_TRIPS_SHOWN:])
