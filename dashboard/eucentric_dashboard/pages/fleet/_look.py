"""Asking every service how it is, all at once, and what follows from the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version

from pydantic import ValidationError

from eucentric_core import (
    EucentricError,
    ServiceAbout,
    Settings,
    TlsSettings,
    channel_credentials,
    utc_now,
)
from eucentric_core.transport import PyroControlClient

from ..._another_version import another_version
from ...widgets import Tone

__all__ = ["Seen", "Service", "look", "services_of", "worries"]

_TIMEOUT_S = 3.0
_MAX_AT_ONCE = 16
_MUCH_OFFSET_S = 1.0
_LITTLE_BYTES = 10 << 30
_VERY_LITTLE_BYTES = 1 << 30
_SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Service:
    """Where a service is."""

    name: str
    kind: str
    host: str
    port: int
    tls: TlsSettings | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a service said, or why it did not.

    Attributes:
        at_utc: when it was last heard of; None if it was not.
        clock_offset_s: its clock less this one, as exact as half the round trip.
        round_trip_s: of the question.
    """

    service: Service
    about: ServiceAbout | None = None
    error: EucentricError | None = None
    at_utc: datetime | None = None
    clock_offset_s: float | None = None
    round_trip_s: float | None = None


def services_of(settings: Mapping[str, Settings]) -> tuple[Service, ...]:
    """Agent and edge of each instrument, and the edges that only the hub names; each address once."""
    found: dict[tuple[str, int], Service] = {}
    for name, of_one in settings.items():
        agent, edge = of_one.agent, of_one.edge
        services = [
            Service(name, "agent", agent.host, agent.control_port, of_one.client.tls),
            Service(edge.name, "edge", edge.host, edge.control_port, channel_credentials(of_one, edge)),
        ]
        for where in of_one.hub.more_edges:
            host, _, port = where.rpartition(":")
            services.append(Service(where, "edge", host, int(port), channel_credentials(of_one, edge)))
        for service in services:
            found.setdefault((service.host, service.port), service)
    return tuple(found.values())


def look(services: Sequence[Service], before: Mapping[Service, Seen]) -> dict[Service, Seen]:
    """Ask all of them; blocks for as long as the slowest may take.

    Args:
        services: to ask.
        before: what was seen last, for when each was last heard of.
    """
    with ThreadPoolExecutor(max_workers=_MAX_AT_ONCE, thread_name_prefix="fleet") as threads:
        return dict(zip(services, threads.map(lambda one: _ask(one, before.get(one)), services), strict=True))


def _ask(service: Service, before: Seen | None) -> Seen:
    last_utc = None if before is None else before.at_utc
    control = PyroControlClient(service.host, service.port, timeout_s=_TIMEOUT_S, credentials=service.tls)
    try:
        # The first call opens the connection, which would count as an offset of the clock.
        control.call("ping", {})
        asked = utc_now()
        about = ServiceAbout.model_validate(control.call("about", {}))
        answered = utc_now()
    except ValidationError:
        return Seen(service, error=another_version(f"{service.kind} {service.name}"), at_utc=last_utc)
    except EucentricError as error:
        return Seen(service, error=error, at_utc=last_utc)
    finally:
        control.close()
    middle = asked + (answered - asked) / 2
    return Seen(
        service,
        about,
        at_utc=answered,
        clock_offset_s=(about.utc - middle).total_seconds(),
        round_trip_s=(answered - asked).total_seconds(),
    )


def worries(seen: Seen, *, now_utc: datetime) -> tuple[tuple[Tone, str], ...]:
    """What somebody should look after, the gravest first; empty is good."""
    about = seen.about
    if about is None:
        return (("failed", "does not answer"),)
    found: list[tuple[Tone, str]] = []
    if about.free_bytes < _LITTLE_BYTES:
        tone: Tone = "failed" if about.free_bytes < _VERY_LITTLE_BYTES else "waiting"
        found.append((tone, f"{about.free_bytes / 1e9:.1f} GB of disk left"))
    half_s = (seen.round_trip_s or 0.0) / 2
    if seen.clock_offset_s is not None and abs(seen.clock_offset_s) - half_s > _MUCH_OFFSET_S:
        found.append(("waiting", f"its clock is {seen.clock_offset_s:+.1f} s off"))
    if about.certificate_until is not None:
        left = about.certificate_until - now_utc
        if left <= timedelta(0):
            found.append(("failed", "its certificate has expired"))
        elif left < _SOON:
            found.append(("waiting", f"its certificate expires in {left.days} days"))
    if about.version != version("eucentric"):
        found.append(("waiting", f"runs {about.version}, this machine {version('eucentric')}"))
    if about.state not in ("ready", "serving", "running"):
        found.append(("waiting", about.state))
    return tuple(sorted(found, key=lambda one: one[0] != "failed"))
