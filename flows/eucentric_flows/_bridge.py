"""From the data channels to the orchestrator: every event, once, whoever is down at the moment."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import MappingProxyType, TracebackType
from typing import Self

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)

from eucentric_core import (
    AnyEvent,
    DataFormatError,
    ServiceUnavailableError,
    Settings,
    agent_data_access,
    edge_data_access,
    repository_data_access,
    settings_by_instrument,
)
from eucentric_core.transport import EVENT_STREAM, DataAccess, StreamSubscriber

from ._event_outbox import EventOutbox
from ._prefect_events import EventSink

__all__ = ["Address", "EventBridge", "event_keys", "event_sources"]

Address = tuple[str, int]

_RECEIVE_S = 0.5
_POLL_S = 0.1
_FIRST_RETRY_S = 0.5
_LONGEST_RETRY_S = 10.0

_log = logging.getLogger(__name__)


def event_sources(settings: Settings) -> dict[str, Address]:
    """The data channels that publish events: of every instrument and its edge, and of the repository."""
    sources: dict[str, Address] = {}
    for label, seen in _seen(settings).items():
        sources[f"agent{label}"] = (seen.agent.host, seen.agent.data_port)
        sources[f"edge{label}"] = (seen.edge.reachable_host, seen.edge.data_port)
    sources["repository"] = (settings.repository.reachable_host, settings.repository.data_port)
    # One edge may answer several instruments.
    by_address = {address: name for name, address in reversed(sources.items())}
    return {name: address for address, name in reversed(by_address.items())}


def event_keys(settings: Settings, *, client: str) -> dict[str, DataAccess]:
    """What gets the keys of those channels that have some."""
    access = {"repository": repository_data_access(settings, client=client)}
    for label, seen in _seen(settings).items():
        access[f"agent{label}"] = agent_data_access(seen, client=client)
        access[f"edge{label}"] = edge_data_access(seen, client=client)
    return {name: keys for name, keys in access.items() if keys is not None}


def _seen(settings: Settings) -> dict[str, Settings]:
    """Settings as each instrument sees them, by what stands behind "agent" in its name; nothing for ours."""
    seen = settings_by_instrument(settings)
    return {"" if one is settings else f" {name}": one for name, one in seen.items()}


class EventBridge:
    """Takes events from the sources into the outbox, and delivers the outbox to a sink.

    An event is acknowledged to its source once it is durable in the outbox, so that a sink that is down never
    holds an instrument back. Sources need not be up: subscriptions renew themselves.

    Args:
        sources: data channels by name.
        outbox: where events wait.
        sink: where they go.
        on_end: called when the bridge stops by itself, which it does only on an unforeseen error (a full
            disk); leaving the context then raises that error.
        on_event: called with every event once it is in the outbox, in the thread of its source.
        before_delivery: called before events go to the sink; it may wait for a moment.
        on_delivered: called when the sink has taken events.
        access: gets the keys of the sources that have some.
    """

    def __init__(
        self,
        sources: Mapping[str, Address],
        outbox: EventOutbox,
        sink: EventSink,
        *,
        on_end: Callable[[], None] = lambda: None,
        on_event: Callable[[AnyEvent], None] = lambda _event: None,
        before_delivery: Callable[[], None] = lambda: None,
        on_delivered: Callable[[], None] = lambda: None,
        access: Mapping[str, DataAccess] = MappingProxyType({}),
    ) -> None:
        self._access = dict(access)
        self._sources = dict(sources)
        self._outbox = outbox
        self._sink = sink
        self._on_end = on_end
        self._on_event = on_event
        self._before_delivery = before_delivery
        self._on_delivered = on_delivered
        self._arrived = threading.Event()
        self._stopping = threading.Event()
        self._loops: list[Future[None]] = []
        self._threads = ThreadPoolExecutor(len(self._sources) + 1, thread_name_prefix="events")

    def __enter__(self) -> Self:
        self._loops = [self._threads.submit(self._collect, name) for name in self._sources]
        self._loops.append(self._threads.submit(self._deliver))
        for loop in self._loops:
            loop.add_done_callback(self._ended)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._threads.shutdown()
        for loop in self._loops:
            loop.result()

    def stop(self) -> None:
        """Begin to stop; leaving the context waits for the end."""
        self._stopping.set()

    def _ended(self, _loop: Future[None]) -> None:
        if not self._stopping.is_set():
            self._stopping.set()
            self._on_end()

    def _collect(self, name: str) -> None:
        host, port = self._sources[name]
        answered = True
        access = self._access.get(name)
        with StreamSubscriber(
            host, port, streams=[EVENT_STREAM], mode="lossless", access=access
        ) as subscriber:
            while not self._stopping.is_set():
                try:
                    message = subscriber.receive(_RECEIVE_S)
                except ServiceUnavailableError as error:
                    if answered:
                        _log.warning("no events from the %s: %s", name, error.what)
                    answered = False
                    continue
                if message is None:
                    continue
                answered = True
                try:
                    event = message.event()
                    self._outbox.add(event)
                    self._arrived.set()
                    self._on_event(event)
                except DataFormatError as error:
                    _log.error("an event of the %s is not understood, and not passed on: %s", name, error)
                subscriber.acknowledge()

    def _deliver(self) -> None:
        while not self._stopping.is_set():
            self._arrived.clear()
            events = self._outbox.pending()
            if events:
                self._before_delivery()
                self._deliver_until_taken(events)
            else:
                # Not only its own sources put events there: the engine tells how runs end.
                self._arrived.wait(_POLL_S)

    def _deliver_until_taken(self, events: Sequence[AnyEvent]) -> None:
        attempts = Retrying(
            retry=retry_if_exception_type(ServiceUnavailableError),
            wait=wait_random_exponential(_FIRST_RETRY_S, _LONGEST_RETRY_S),
            stop=stop_when_event_set(self._stopping),
            sleep=sleep_using_event(self._stopping),
            before_sleep=self._say_waiting,
            reraise=True,
        )
        try:
            attempts(self._sink.deliver, events)
        except ServiceUnavailableError:
            return
        self._outbox.mark_delivered(events)
        self._on_delivered()
        _log.info("delivered: %s", ", ".join(event.kind for event in events))

    def _say_waiting(self, state: RetryCallState) -> None:
        if state.attempt_number == 1:
            error = state.outcome and state.outcome.exception()
            _log.warning("%s %d event(s) wait.", error, self._outbox.counts().pending)
