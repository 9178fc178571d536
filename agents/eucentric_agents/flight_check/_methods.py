"""Starting a flight check and asking after it, as methods of the data process's door."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pydantic import JsonValue

from eucentric_core import BusyError

from ._runner import FlightCheck

__all__ = ["FLIGHT_CHECK_METHODS", "flight_check_methods"]

FLIGHT_CHECK_METHODS = ("flight_check.start", "flight_check.status")

_Payload = dict[str, JsonValue]


def flight_check_methods(
    check: FlightCheck, stopping: threading.Event
) -> dict[str, Callable[[_Payload], _Payload]]:
    """The methods by name. A check runs on a thread of its own; nobody waits for it on the line.

    Args:
        check: what to run.
        stopping: makes a check under way give up.
    """

    def start(_payload: _Payload) -> _Payload:
        if check.running:
            raise BusyError(
                "A flight check is under way.",
                safe="it goes on unchanged.",
                next_step="wait for its result.",
            )
        threading.Thread(target=_run, name="flight-check-asked", daemon=True).start()
        return {}

    def _run() -> None:
        try:
            check.run(stopping)
        except BusyError:
            # The nightly one came first: whoever asked sees its result.
            return

    def status(_payload: _Payload) -> _Payload:
        last = check.last
        return {
            "running": check.running,
            "last": last.model_dump(mode="json") if last is not None else None,
        }

    return {"flight_check.start": start, "flight_check.status": status}
