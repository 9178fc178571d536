"""The subscriber's side of shared memory: maps rings, and holds slots for as long as arrays refer to them."""

from __future__ import annotations

import logging

from ._shm_file import SharedMemoryError
from ._shm_held import HeldSlots, parse_ticket
from ._shm_ring import MappedRing
from ._zmq_message import ArrayPayload
from ._zmq_protocol import Mapped, ReaderFile

__all__ = ["SlotLodger"]

_MAX_RINGS = 8

_log = logging.getLogger(__name__)


class SlotLodger:
    """Slots of shared memory that one subscriber uses. For its thread alone.

    Args:
        enabled: whether to use any.
    """

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._held: HeldSlots | None = None
        self._rings: dict[str, MappedRing] = {}

    def renew(self) -> ReaderFile | None:
        """A new list of held slots for a new attempt: a server that has forgotten us counts from one."""
        if not self._enabled:
            return None
        self.close()
        try:
            self._held = HeldSlots()
        except SharedMemoryError as error:
            _log.info("frames come through the socket: %s", error)
            self._enabled = False
            return None
        return ReaderFile(name=self._held.name, token=self._held.token)

    def map_ring(self, name: bytes) -> Mapped | None:
        """Map a ring that the server uses, and prove it; None if it cannot be seen from here."""
        try:
            text = name.decode("ascii")
            ring = self._rings.get(text) or MappedRing(text)
        except (SharedMemoryError, ValueError) as error:
            _log.info("frames come through the socket: %s", error)
            return None
        while len(self._rings) >= _MAX_RINGS:
            del self._rings[next(iter(self._rings))]
        self._rings[text] = ring
        return Mapped(ring=text, token=ring.token.hex())

    def take(self, text: bytes) -> tuple[bytes, ArrayPayload, int] | None:
        """Stream, array and CRC-32C that a ticket is for; None, and a line in the log, if it is not so."""
        if self._held is None:
            return None
        try:
            stream, ticket = parse_ticket(text)
        except SharedMemoryError as error:
            _log.error("a message in shared memory was refused: %s", error)
            return None
        try:
            ring = self._rings[ticket.reference.ring]
            view, checksum = ring.view(ticket.reference), ring.checksum(ticket.reference)
        except (KeyError, SharedMemoryError) as error:
            _log.error("a message in shared memory was refused: %s", error)
            self._held.refuse(ticket)
            return None
        self._held.hold(ticket, view)
        return stream, ArrayPayload(view), checksum

    def close(self) -> None:
        """Take nothing more. What was taken stays valid for as long as somebody refers to it."""
        if self._held is not None:
            self._held.close()
            self._held = None
