"""A ring of slots in shared memory: one process copies frames in, others read them where they lie.

The first 64 KiB hold the layout: a token, who serves it, and a record for each slot. A slot's state has one
writer for each step: the producer makes a free slot `USED`, the server makes it `TAKEN` when its descriptor
has arrived and `FREE` when every consumer has let go. The producer alone decides what lies where.
"""

from __future__ import annotations

import logging
import secrets
import struct
from bisect import insort
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .._checksum import crc32c
from ._shm_file import TOKEN_BYTES, SharedFile, SharedMemoryError, sweep_shared_files

__all__ = ["REFERENCE_BYTES", "RING_KIND", "MappedRing", "RingWriter", "SlotReference", "parse_slot"]

RING_KIND: Final = "ring"

_MAGIC = b"EUCRING2"
_N_SLOTS = 2048
_STATES_AT = 128
_RECORDS_AT = 4096
_RECORD = struct.Struct("<IIQQ")
"""Generation of a slot, CRC-32C of what is in it, offset and length."""
_REFERENCE = struct.Struct("<64sII")
"""Name of the ring, number and generation of the slot."""
REFERENCE_BYTES: Final = _REFERENCE.size
_DATA_AT = 64 << 10
_TOKEN_AT = len(_MAGIC)
_SERVER_AT = _TOKEN_AT + TOKEN_BYTES
_RETIRED_AT = _SERVER_AT + TOKEN_BYTES
_FREE, _USED, _TAKEN = 0, 1, 2
_RESERVED_BYTES = 16 << 20
_ALIGNMENT = 4096
_LARGEST_SHARE = 4

_log = logging.getLogger(__name__)


class SlotReference(NamedTuple):
    """What travels instead of an array: where it lies. The rest is read from the ring itself."""

    ring: str
    slot: int
    generation: int

    def pack(self) -> bytes:
        """As it travels."""
        return _REFERENCE.pack(self.ring.encode("ascii"), self.slot, self.generation)


def parse_slot(text: bytes) -> SlotReference:
    """The reference in what `pack` returned.

    Raises:
        SharedMemoryError: it is none.
    """
    try:
        ring, slot, generation = _REFERENCE.unpack(text)
        name = ring.rstrip(b"\0").decode("ascii")
    except (struct.error, ValueError) as error:
        raise SharedMemoryError(f"no reference to a slot: {error}") from error
    if slot >= _N_SLOTS:
        raise SharedMemoryError(f"no slot has the number {slot}")
    return SlotReference(name, slot, generation)


class RingWriter:
    """The producer's end. Not safe for use from several threads at once.

    Args:
        n_bytes: of the slots together; memory is taken as it is needed and then used again.

    Raises:
        SharedMemoryError: the system gives no shared memory.
    """

    def __init__(self, n_bytes: int) -> None:
        sweep_shared_files()
        self._n_bytes = n_bytes // _ALIGNMENT * _ALIGNMENT
        self._file = SharedFile.create(RING_KIND, _DATA_AT + self._n_bytes)
        try:
            self._file.reserve(0, _DATA_AT)
        except SharedMemoryError:
            self._file.unlink()
            raise
        header = self._file.map
        header[_TOKEN_AT : _TOKEN_AT + TOKEN_BYTES] = secrets.token_bytes(TOKEN_BYTES)
        header[: len(_MAGIC)] = _MAGIC
        self._reserved = 0
        self._generations = [0] * _N_SLOTS
        self._free_slots = list(range(_N_SLOTS - 1, -1, -1))
        self._extents: list[tuple[int, int, int]] = []
        """(offset, end, slot) of what lies in the ring, by offset."""
        self._waiting: list[int] = []

    @property
    def name(self) -> str:
        """What readers open it by."""
        return self._file.name

    @property
    def largest_frame_bytes(self) -> int:
        """What is larger goes inline: a ring for two or three frames would only be full."""
        return self._n_bytes // _LARGEST_SHARE

    @property
    def is_retired(self) -> bool:
        """Whether another server than the first has met this ring: slots the first held never come back."""
        return self._file.map[_RETIRED_AT] != 0

    @property
    def undelivered(self) -> int:
        """How many slots wait for the server to take them."""
        states = self._file.map
        self._waiting = [slot for slot in self._waiting if states[_STATES_AT + slot] == _USED]
        return len(self._waiting)

    def put(self, payload: memoryview) -> SlotReference | None:
        """Copy an array's bytes in; None if there is no room for them."""
        n_bytes = payload.nbytes
        self._reclaim()
        if not 0 < n_bytes <= self.largest_frame_bytes or not self._free_slots:
            return None
        offset = self._first_fit(n_bytes)
        if offset is None:
            return None
        at = _DATA_AT + offset
        target = np.frombuffer(self._file.map, np.uint8, n_bytes, at)
        np.copyto(target, np.frombuffer(payload, np.uint8))
        # Here it is in the processor's cache, and whoever keeps it can tell whether it is what was published.
        checksum = crc32c(target.data)
        slot = self._free_slots.pop()
        generation = self._generations[slot] = self._generations[slot] % (2**32 - 1) + 1
        insort(self._extents, (offset, offset + n_bytes, slot))
        _RECORD.pack_into(
            self._file.map, _RECORDS_AT + slot * _RECORD.size, generation, checksum, at, n_bytes
        )
        self._file.map[_STATES_AT + slot] = _USED
        self._waiting.append(slot)
        return SlotReference(self.name, slot, generation)

    def take_back(self, reference: SlotReference) -> None:
        """Free a slot whose reference was never sent."""
        self._file.map[_STATES_AT + reference.slot] = _FREE

    def close(self) -> None:
        """Take the ring's name away; who reads from it goes on."""
        self._file.unlink()

    def _reclaim(self) -> None:
        states = self._file.map
        kept = [extent for extent in self._extents if states[_STATES_AT + extent[2]] != _FREE]
        if len(kept) < len(self._extents):
            still = {slot for _, _, slot in kept}
            self._free_slots += [slot for _, _, slot in self._extents if slot not in still]
            self._extents = kept

    def _first_fit(self, n_bytes: int) -> int | None:
        """The lowest place: the more often memory is used again, the more of it is in the caches."""
        end = 0
        for begin, following, _ in self._extents:
            if begin - end >= n_bytes:
                break
            end = -(-following // _ALIGNMENT) * _ALIGNMENT
        if end + n_bytes > self._n_bytes or not self._reserve(end + n_bytes):
            return None
        return end

    def _reserve(self, until: int) -> bool:
        while self._reserved < until:
            step = min(_RESERVED_BYTES, self._n_bytes - self._reserved)
            try:
                self._file.reserve(_DATA_AT + self._reserved, step)
            except SharedMemoryError as error:
                _log.warning("the ring of shared memory stays smaller than it might be: %s", error)
                self._n_bytes = self._reserved
                return False
            self._reserved += step
        return True


class MappedRing:
    """A reader's view of a ring.

    Args:
        name: as the reference gives it.
        server: of whoever hands out its slots, who also frees them; None for who only reads.

    Raises:
        SharedMemoryError: there is none of that name, or it is not what a producer writes.
    """

    def __init__(self, name: str, *, server: bytes | None = None) -> None:
        self._file = SharedFile.open(name, RING_KIND, writable=server is not None)
        memory = self._file.map
        if len(memory) < _DATA_AT or memory[: len(_MAGIC)] != _MAGIC:
            raise SharedMemoryError(f"{name} is no ring of this version")
        self.name = name
        self.token = bytes(memory[_TOKEN_AT : _TOKEN_AT + TOKEN_BYTES])
        self.n_bytes = len(memory) - _DATA_AT
        if server is not None:
            former = memory[_SERVER_AT : _SERVER_AT + TOKEN_BYTES]
            if former.strip(b"\0") and former != server:
                memory[_RETIRED_AT] = 1
            memory[_SERVER_AT : _SERVER_AT + TOKEN_BYTES] = server

    def take(self, reference: SlotReference) -> None:
        """The server has got this reference.

        Raises:
            SharedMemoryError: the slot is not one that was handed over.
        """
        if self._file.map[_STATES_AT + reference.slot] != _USED:
            raise SharedMemoryError(f"slot {reference.slot} of {self.name} was not handed over")
        self._require_generation(reference)
        self._file.map[_STATES_AT + reference.slot] = _TAKEN

    def free(self, slot: int) -> None:
        """Every consumer has let go of a slot that was taken."""
        self._file.map[_STATES_AT + slot] = _FREE

    def view(self, reference: SlotReference) -> npt.NDArray[np.uint8]:
        """The bytes in a slot, where they lie.

        Raises:
            SharedMemoryError: the slot holds something else by now, or reaches beyond the ring.
        """
        offset, n_bytes, _ = self._require_generation(reference)
        if not _DATA_AT <= offset <= offset + n_bytes <= len(self._file.map):
            raise SharedMemoryError(f"slot {reference.slot} of {self.name} reaches beyond the ring")
        return np.frombuffer(self._file.map, np.uint8, n_bytes, offset)

    def checksum(self, reference: SlotReference) -> int:
        """CRC-32C of the bytes in a slot, as the producer has put them there.

        Raises:
            SharedMemoryError: the slot holds something else by now.
        """
        return self._require_generation(reference)[2]

    def producer_is_gone(self) -> bool:
        """Whether whoever fills the ring has ended."""
        return self._file.owner_is_gone()

    def is_linked(self) -> bool:
        """Whether it still has its name: the producer takes it away when it needs the ring no more."""
        return self._file.path.exists()

    def unlink(self) -> None:
        """Take the ring's name away, on behalf of a producer that cannot any more."""
        self._file.unlink()

    def _require_generation(self, reference: SlotReference) -> tuple[int, int, int]:
        at = _RECORDS_AT + reference.slot * _RECORD.size
        generation, checksum, offset, n_bytes = _RECORD.unpack_from(self._file.map, at)
        if generation != reference.generation:
            raise SharedMemoryError(f"slot {reference.slot} of {self.name} holds something else by now")
        return offset, n_bytes, checksum
