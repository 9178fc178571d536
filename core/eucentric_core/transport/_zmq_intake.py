"""Where producers' messages come in at a data server."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

import zmq

from ._network import cannot_listen, require_loopback
from ._shm_file import SharedMemoryError
from ._shm_ring import REFERENCE_BYTES
from ._zmq_binding import bind, endpoint_of
from ._zmq_parts import receive_parts
from ._zmq_slots import SlotDesk
from ._zmq_subscription import BACKLOG_MESSAGES, Message

__all__ = ["Intake"]

_log = logging.getLogger(__name__)


class Intake:
    """Receives what producers publish, through the socket or by reference. For the server's thread alone.

    Args:
        context: of the socket.
        endpoint: `inproc://`, `ipc://`, or `tcp://` on loopback.
        slots: of shared memory that references are to.

    Raises:
        ConfigurationError: the port is in use, or the address is not loopback.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, slots: SlotDesk) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme == "tcp":
            require_loopback(parts.hostname or "", "ingest")
        self._slots = slots
        self.received_messages = 0
        self.received_bytes = 0
        self.socket = context.socket(zmq.PULL)
        self.socket.set_hwm(BACKLOG_MESSAGES)
        try:
            bind(self.socket, endpoint)
        except zmq.ZMQError as error:
            self.socket.close()
            port = parts.port if parts.scheme == "tcp" else None
            raise cannot_listen(endpoint, port or 0, "publishers", error.errno) from error

    @property
    def endpoint(self) -> str:
        """Where publishers connect."""
        return endpoint_of(self.socket)

    def take(self) -> tuple[Message | None, str | None]:
        """The next message, None if it was malformed; and the name of its ring, if that is new here.

        Raises:
            zmq.Again: none is there.
        """
        parts = receive_parts(self.socket)
        try:
            message, new_ring = self._read(parts)
        except (ValueError, SharedMemoryError) as error:
            _log.warning("malformed message from a publisher dropped: %s", error)
            return None, None
        self.received_messages += 1
        self.received_bytes += message.n_bytes
        return message, new_ring

    def _read(self, parts: Sequence[zmq.Frame]) -> tuple[Message, str | None]:
        match parts:
            case [stream, header, payload]:
                return Message(stream.bytes.decode("ascii"), header, payload), None
            case [reference, header]:
                text = reference.bytes
                slot, is_new_ring = self._slots.take(text[:REFERENCE_BYTES])
                message = Message(text[REFERENCE_BYTES:].decode("ascii"), header, slot)
                return message, slot.ring.name if is_new_ring else None
            case _:
                raise ValueError(f"it has {len(parts)} parts")
