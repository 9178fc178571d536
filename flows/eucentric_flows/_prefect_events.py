"""Our events as Prefect events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from uuid import NAMESPACE_URL, uuid5

import httpx

from eucentric_core import AnyEvent, ServiceUnavailableError, read_login

__all__ = ["EVENT_PREFIX", "EventSink", "PrefectEventSink", "prefect_event"]

EVENT_PREFIX = "eucentric."

_LABELS = ("instrument", "session", "sample", "material", "model_name", "dataset_id")


def prefect_event(event: AnyEvent) -> dict[str, Any]:
    """The event as Prefect's API takes it: its facts as labels to match on, itself as the payload."""
    facts = {name: getattr(event, name, None) for name in _LABELS}
    return {
        # Prefect wants a UUID; ours is free to be another name. The same event gets the same one.
        "id": str(uuid5(NAMESPACE_URL, event.id)),
        "event": f"{EVENT_PREFIX}{event.kind}",
        "occurred": event.occurred_utc.isoformat(),
        "resource": {
            "prefect.resource.id": event.resource_id,
            "prefect.resource.name": event.source,
            **{f"{EVENT_PREFIX}{name}": str(value) for name, value in facts.items() if value is not None},
        },
        "payload": event.model_dump(mode="json"),
    }


class EventSink(Protocol):
    """Where events are delivered to."""

    def deliver(self, events: Sequence[AnyEvent]) -> None:
        """Return only when they have been taken.

        Raises:
            ServiceUnavailableError: they have not, or it is not known; deliver them again.
        """
        ...


class PrefectEventSink:
    """Delivers over HTTP: unlike the websocket of Prefect's own client it answers when events are taken.

    Args:
        api_url: of Prefect.
        timeout_s: of a request.
        login_file: holds name and password where Prefect asks for them (`hub.prefect_login_file`).

    Raises:
        ConfigurationError: that file cannot be used.
    """

    def __init__(self, api_url: str, *, timeout_s: float = 10.0, login_file: Path | None = None) -> None:
        login = None if login_file is None else read_login(login_file, setting="hub.prefect_login_file")
        self._api_url = api_url
        self._client = httpx.Client(base_url=api_url, timeout=timeout_s, auth=login)

    def deliver(self, events: Sequence[AnyEvent]) -> None:
        """See `EventSink.deliver`."""
        try:
            answer = self._client.post("/events", json=[prefect_event(event) for event in events])
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise ServiceUnavailableError(
                f"Prefect at {self._api_url} did not take {len(events)} event(s): {error}.",
                safe="they are kept and will be delivered again.",
                next_step="check that the Prefect server runs.",
            ) from error

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
