"""The data server's side of shared memory: which slots are on loan, to whom, and which readers are gone."""

from __future__ import annotations

import logging
import secrets
import weakref

import numpy as np
import numpy.typing as npt
import zmq

from ._shm_file import TOKEN_BYTES, SharedMemoryError, of_this_process, sweep_shared_files
from ._shm_held import LentSlots, Ticket
from ._shm_ring import MappedRing, SlotReference, parse_slot
from ._zmq_protocol import Mapped, ReaderFile

__all__ = ["SharedSlot", "SlotDesk"]

_MAX_RINGS = 8
_MAX_READERS = 256
_LENT_SHARE = 4

_log = logging.getLogger(__name__)


class SharedSlot:
    """A message's array in a slot of a ring. The slot is free when this and all that was sent of it is gone.

    Args:
        ring: that it lies in.
        reference: to the slot.

    Raises:
        SharedMemoryError: the slot was not handed over, or is not in the ring.
    """

    def __init__(self, ring: MappedRing, reference: SlotReference) -> None:
        view = ring.view(reference)
        ring.take(reference)
        freeing = weakref.finalize(view, of_this_process(ring.free), reference.slot)
        freeing.atexit = False
        self.ring = ring
        self.reference = reference
        self.n_bytes = view.nbytes
        self._view: npt.NDArray[np.uint8] = view

    def buffer(self) -> memoryview:
        """The bytes where they lie; they stay there for as long as this is referred to."""
        return self._view.data

    def frame(self) -> zmq.Frame:
        """What ZeroMQ sends from the slot, without a copy."""
        return zmq.Frame(self._view, copy=False)


class SlotDesk:
    """Takes slots from producers and lends them to readers. For the server's thread alone."""

    def __init__(self) -> None:
        self._identity = secrets.token_bytes(TOKEN_BYTES)
        self._rings: dict[str, MappedRing] = {}
        self._readers: dict[str, LentSlots] = {}
        sweep_shared_files()

    @property
    def rings(self) -> tuple[str, ...]:
        """Names of the rings that are in use."""
        return tuple(self._rings)

    @property
    def lent(self) -> int:
        """Slots that readers hold."""
        return sum(map(len, self._readers.values()))

    def take(self, text: bytes) -> tuple[SharedSlot, bool]:
        """The slot that a producer's message refers to, and whether its ring is new here.

        Raises:
            SharedMemoryError: it refers to nothing that was handed over.
        """
        reference = parse_slot(text)
        ring = self._rings.get(reference.ring)
        is_new = ring is None
        if ring is None:
            ring = MappedRing(reference.ring, server=self._identity)
            while len(self._rings) >= _MAX_RINGS:
                del self._rings[next(iter(self._rings))]
            self._rings[ring.name] = ring
        return SharedSlot(ring, reference), is_new

    def open_reader(self, file: ReaderFile) -> LentSlots | None:
        """A subscriber's list of slots; None if it is not on this machine, or another user's."""
        if len(self._readers) >= _MAX_READERS or file.name in self._readers:
            return None
        try:
            reader = LentSlots(file.name, file.token)
        except SharedMemoryError as error:
            _log.info("a subscriber gets its frames through the socket: %s", error)
            return None
        self._readers[file.name] = reader
        return reader

    def confirm(self, reader: LentSlots, mapped: Mapped) -> None:
        """Lend slots of a ring from now on, if the reader has proven that it can see it."""
        ring = self._rings.get(mapped.ring)
        if ring is None or not secrets.compare_digest(ring.token.hex(), mapped.token):
            _log.warning("a subscriber claims to see shared memory that it does not")
            return
        reader.rings.add(mapped.ring)

    def lend(self, reader: LentSlots, slot: SharedSlot) -> Ticket | None:
        """A ticket for a slot, or None: the reader does not see the ring, or has enough of it already."""
        if slot.ring.name not in reader.rings:
            return None
        most = slot.ring.n_bytes // _LENT_SHARE
        if reader.n_bytes + slot.n_bytes > most:
            reader.take_back()
            if reader.n_bytes + slot.n_bytes > most:
                return None
        return reader.lend(slot.reference, slot.n_bytes, slot)

    def take_back(self) -> None:
        """Free what readers have let go of."""
        for reader in self._readers.values():
            reader.take_back()

    def tidy(self, in_use: set[int]) -> None:
        """Forget readers and rings that are gone. A reader that only does not answer keeps what it holds.

        Args:
            in_use: `id` of the readers of the present subscriptions.
        """
        for name, reader in list(self._readers.items()):
            reader.take_back()
            if reader.reader_is_gone() or (not len(reader) and id(reader) not in in_use):
                del self._readers[name]
        for name, ring in list(self._rings.items()):
            if ring.producer_is_gone():
                ring.unlink()
                del self._rings[name]
            elif not ring.is_linked():
                del self._rings[name]
