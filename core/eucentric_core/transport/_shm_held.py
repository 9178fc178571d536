"""How a reader says which slots it has let go of: one byte for each, in a small file of its own.

A message would need a thread that sends it, and a socket that outlives the subscription: arrays do. A byte is
written by whoever drops the last view, at any time, in any thread, without a lock. The server tells from the
file's lock that the reader's process has ended.
"""

from __future__ import annotations

import secrets
import struct
import weakref
from collections import deque
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ._shm_file import TOKEN_BYTES, SharedFile, SharedMemoryError, of_this_process
from ._shm_ring import REFERENCE_BYTES, SlotReference, parse_slot

__all__ = ["N_TICKETS", "HeldSlots", "LentSlots", "Ticket", "parse_ticket"]

N_TICKETS: Final = 1024
_KIND = "held"
_MAGIC = b"EUCHELD1"
_CLOSED_AT = len(_MAGIC) + TOKEN_BYTES
_RECEIVED_AT = 64
_RELEASED_AT = _RECEIVED_AT + N_TICKETS
_FILE_BYTES = _RELEASED_AT + N_TICKETS
_SERIALS = 255
_TICKET = struct.Struct(f"<{REFERENCE_BYTES}sHB")
"""Reference, number and serial."""


class Ticket(NamedTuple):
    """A slot that is lent to one reader: `serial` is what it writes at `number` when it lets go."""

    reference: SlotReference
    number: int
    serial: int

    def pack(self, stream: bytes) -> bytes:
        """As it travels, with the name of the stream that the array is of."""
        return _TICKET.pack(self.reference.pack(), self.number, self.serial) + stream


def parse_ticket(text: bytes) -> tuple[bytes, Ticket]:
    """The stream and the ticket in what `pack` returned.

    Raises:
        SharedMemoryError: it is none.
    """
    try:
        reference, number, serial = _TICKET.unpack_from(text)
    except struct.error as error:
        raise SharedMemoryError(f"no ticket for a slot: {error}") from error
    if number >= N_TICKETS or serial < 1:
        raise SharedMemoryError(f"no ticket has the number {number}")
    return text[_TICKET.size :], Ticket(parse_slot(reference), number, serial)


class HeldSlots:
    """The reader's end.

    Raises:
        SharedMemoryError: the system gives no shared memory.
    """

    def __init__(self) -> None:
        self._file = SharedFile.create(_KIND, _FILE_BYTES)
        try:
            self._file.reserve(0, _FILE_BYTES)
        except SharedMemoryError:
            self._file.unlink()
            raise
        token = secrets.token_bytes(TOKEN_BYTES)
        self._file.map[len(_MAGIC) : len(_MAGIC) + TOKEN_BYTES] = token
        self._file.map[: len(_MAGIC)] = _MAGIC
        self.token = token.hex()
        # Whoever forgets to close it leaves no file behind either.
        self._unlinking = weakref.finalize(self, of_this_process(SharedFile.unlink), self._file)

    @property
    def name(self) -> str:
        """What the server opens it by."""
        return self._file.name

    def hold(self, ticket: Ticket, view: npt.NDArray[np.uint8]) -> None:
        """Let go of a slot by itself as soon as nothing refers to `view` or what was made of it."""
        self._file.map[_RECEIVED_AT + ticket.number] = ticket.serial
        # A forked process has views of its own, and lets go of nothing.
        letting_go = weakref.finalize(
            view, of_this_process(_let_go), self._file, ticket.number, ticket.serial
        )
        letting_go.atexit = False

    def refuse(self, ticket: Ticket) -> None:
        """Let go of a slot that was not used."""
        _let_go(self._file, ticket.number, ticket.serial)

    def close(self) -> None:
        """Nothing more will be received. What was stays valid for as long as somebody refers to it."""
        self._file.map[_CLOSED_AT] = 1
        self._unlinking()


def _let_go(file: SharedFile, ticket: int, serial: int) -> None:
    file.map[_RELEASED_AT + ticket] = serial


class LentSlots:
    """The server's end: what one reader holds.

    Args:
        name: of the reader's file.
        token: that the reader has put there.

    Raises:
        SharedMemoryError: there is no such file, or it is another's.
    """

    def __init__(self, name: str, token: str) -> None:
        self._file = SharedFile.open(name, _KIND)
        memory = self._file.map
        if len(memory) != _FILE_BYTES or memory[: len(_MAGIC)] != _MAGIC:
            raise SharedMemoryError(f"{name} is no list of held slots")
        written = bytes(memory[len(_MAGIC) : len(_MAGIC) + TOKEN_BYTES])
        if not secrets.compare_digest(written.hex(), token):
            raise SharedMemoryError(f"the token of {name} is another")
        self.rings: set[str] = set()
        """Rings that this reader has proven to have mapped."""
        self._free = deque(range(N_TICKETS))
        self._serials = [0] * N_TICKETS
        self._lent: dict[int, tuple[int, int, object]] = {}
        self.n_bytes = 0

    def __len__(self) -> int:
        return len(self._lent)

    def lend(self, reference: SlotReference, n_bytes: int, kept: object) -> Ticket | None:
        """Note that a slot is lent; None if the reader holds too many.

        Args:
            reference: to the slot.
            n_bytes: in it.
            kept: what keeps the slot taken; dropped when the reader lets go.
        """
        if not self._free:
            return None
        ticket = self._free.popleft()
        serial = self._serials[ticket] = self._serials[ticket] % _SERIALS + 1
        self._lent[ticket] = (serial, n_bytes, kept)
        self.n_bytes += n_bytes
        return Ticket(reference, ticket, serial)

    def take_back(self) -> None:
        """Drop what the reader has let go of, and what never reached it."""
        memory = self._file.map
        closed = memory[_CLOSED_AT] != 0
        returned = [
            ticket
            for ticket, (serial, _, _) in self._lent.items()
            if memory[_RELEASED_AT + ticket] == serial or (closed and memory[_RECEIVED_AT + ticket] != serial)
        ]
        for ticket in returned:
            _, n_bytes, _ = self._lent.pop(ticket)
            self.n_bytes -= n_bytes
            self._free.append(ticket)

    def reader_is_gone(self) -> bool:
        """Whether the reader's process has ended; its slots are nobody's then."""
        if not self._file.owner_is_gone():
            return False
        self._file.unlink()
        return True
