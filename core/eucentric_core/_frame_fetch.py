"""Having the frame that a command produced: it leaves over the data channel, the answer only names it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ._errors import TransportError
from ._frame import Frame, FrameHeader
from .transport import DataAccess, StreamSubscriber, SubscriptionMode
from .vocabulary import FrameReference

__all__ = ["FrameFetch"]

_SUBSCRIBE_S = 5.0
_POLL_S = 0.5


class FrameFetch:
    """Fetches frames from an agent's data channel.

    A subscription lasts for one acquisition: between scans a notebook neither receives nor holds back what
    others acquire.

    Args:
        host: of the data channel.
        port: of the data channel.
        timeout_s: how long a frame may take after its command was answered.
        access: gets the keys, where the data channel has some.
    """

    def __init__(
        self, host: str, port: int, *, timeout_s: float = 30.0, access: DataAccess | None = None
    ) -> None:
        self._access = access
        self._host = host
        self._port = port
        self._timeout_s = timeout_s

    def subscribe(self, streams: Sequence[str], mode: SubscriptionMode) -> StreamSubscriber:
        """A subscription that lasts until it is closed."""
        return StreamSubscriber(self._host, self._port, streams=streams, mode=mode, access=self._access)

    @contextmanager
    def subscribed(self) -> Iterator[StreamSubscriber]:
        """A subscription that is confirmed before the acquisition begins.

        Raises:
            ServiceUnavailableError: the data channel does not answer.
            NotAuthorisedError: the agent does not give us its keys.
        """
        with self.subscribe((), "lossless") as subscription:
            subscription.wait_subscribed(_SUBSCRIBE_S)
            yield subscription

    def wait_for(
        self, subscription: StreamSubscriber, reference: FrameReference, *, stream: str | None = None
    ) -> Frame:
        """The frame that `reference` names, or another stream of the same acquisition.

        Raises:
            TransportError: it did not arrive in time.
        """
        wanted = stream or reference.stream
        deadline_s = time.monotonic() + self._timeout_s
        while time.monotonic() < deadline_s:
            message = subscription.receive(_POLL_S)
            if message is None:
                continue
            subscription.acknowledge()
            if message.stream != wanted:
                continue
            frame = message.frame()
            if _is_of(frame.header, reference):
                return frame
        raise TransportError(
            f"Frame {reference.sequence} of stream {wanted!r} did not arrive within {self._timeout_s:g} s.",
            safe="it was acquired, and the agent records it; the specimen has had its dose.",
            next_step="look for it in the session's recording before acquiring it again.",
        )


def _is_of(header: FrameHeader, reference: FrameReference) -> bool:
    return (header.instrument, header.session, header.sequence) == (
        reference.instrument,
        reference.session,
        reference.sequence,
    )
