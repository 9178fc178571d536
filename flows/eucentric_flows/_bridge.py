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
    """The data channels that publish events."""
    return {
        "agent": (settings.agent.host, settings.agent.data_port),
        "edge": (settings.edge.reachable_host, settings.edge.data_port),
        "repository": (settings.repository.reachable_host, settings.repository.data_port),
    }


def event_keys(settings: Settings, *, client: str) -> dict[str, DataAccess]:
    """What gets the keys of those channels that have some."""
    access = {
        "agent": agent_data_access(settings, client=client),
        "edge": edge_data_access(settings, client=client),
        "repository": repository_data_access(settings, client=client),
    }
    return {name: keys for name, keys in access.items() if keys is not None}


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
        access: Mapping[str, DataAccess] = MappingProxyType({}),
    ) -> None:
        self._access = dict(access)
        self._sources = dict(sources)
        self._outbox = outbox
        self._sink = sink
        self._on_end = on_end
        self._on_event = on_event
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
                    self._on_event(event)
                except DataFormatError as error:
                    _log.error("an event of the %s is not understood, and not passed on: %s", name, error)
                subscriber.acknowledge()

    def _deliver(self) -> None:
        while not self._stopping.is_set():
            events = self._outbox.pending()
            if events:
                self._deliver_until_taken(events)
            else:
                self._stopping.wait(_POLL_S)

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
        _log.info("delivered: %s", ", ".join(event.kind for event in events))

    def _say_waiting(self, state: RetryCallState) -> None:
        if state.attempt_number == 1:
            error = state.outcome and state.outcome.exception()
            _log.warning("%s %d event(s) wait.", error, self._outbox.counts().pending)
