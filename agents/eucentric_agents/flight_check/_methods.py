"""Starting a flight check and asking after it, as methods of the data process's door."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pydantic import JsonValue

from ._runner import FlightCheck

__all__ = ["flight_check_methods"]

_Payload = dict[str, JsonValue]


def flight_check_methods(
    check: FlightCheck, stopping: threading.Event
) -> dict[str, Callable[[_Payload], _Payload]]:
    """The methods by name. Nobody waits on the line until a check is over.

    Args:
        check: what to run.
        stopping: makes a check under way give up.
    """

    def start(_payload: _Payload) -> _Payload:
        check.start(stopping)
        return {}

    def status(_payload: _Payload) -> _Payload:
        last = check.last
        return {
            "running": check.running,
            "last": last.model_dump(mode="json") if last is not None else None,
        }

    return {"flight_check.start": start, "flight_check.status": status}
