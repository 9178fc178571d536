"""The flight check of the data process: every night, and whenever it is asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from eucentric_core import DatasetManifest, Settings
from eucentric_core.transport import StreamPublisher

from ..flight_check import FlightCheck, FlightCheckSchedule, Journey, Stage, flight_check_methods
from ..recording import Journal, Ledger
from ._desk import DataDesk

__all__ = ["checking_flight", "look_into"]


def look_into(ledger: Ledger, instrument: str, session: str) -> Journey:
    """What the journal knows of a session, as a flight check asks for it."""
    row, entries = ledger.entries_of(instrument, session)
    manifests = [
        DatasetManifest.model_validate_json(entry.document) for entry in entries if entry.kind == "dataset"
    ]
    return Journey(
        known=row is not None,
        closed=bool(manifests),
        frames=sum(manifest.frames for manifest in manifests),
        missing=sum(len(manifest.missing_sequences) for manifest in manifests),
        states=tuple(entry.state for entry in entries),
    )


@contextmanager
def checking_flight(
    settings: Settings, desk: DataDesk, journal: Journal, publisher: StreamPublisher
) -> Iterator[None]:
    """Answer `flight_check.start` and `.status`, and check every day at `agent.flight_check_utc`."""
    agent = settings.agent
    stopping = threading.Event()
    check = FlightCheck(
        agent.name,
        publish=lambda frame: publisher.publish(frame.header, frame.array),
        publish_event=publisher.publish_event,
        look=lambda instrument, session: look_into(journal.ledger, instrument, session),
        goal=_goal(settings),
        deadline_s=agent.flight_check_deadline_s,
    )
    for name, method in flight_check_methods(check, stopping).items():
        desk.register(name, method)
    schedule = None
    if agent.flight_check_utc is not None:
        schedule = FlightCheckSchedule(agent.flight_check_utc, check.run)
        schedule.start()
    try:
        yield
    finally:
        stopping.set()
        if schedule is not None:
            schedule.stop()


def _goal(settings: Settings) -> Stage:
    """How far a data set comes here: kept copies of what has a receipt are not let go."""
    if settings.agent.ship_to is None:
        return "seal"
    return "register" if settings.agent.keep_receipted_bytes else "free"
