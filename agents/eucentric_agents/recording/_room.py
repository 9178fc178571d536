"""Room on the disk: asked for before a frame is taken, made by letting go of copies."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from eucentric_core import OutOfSpaceError, require_free_space

from ._local_copies import LocalCopies

__all__ = ["RESERVE_BYTES", "Room"]

_Result = TypeVar("_Result")

RESERVE_BYTES = 1 << 18
"""Room for headers, axes and tables of a shard when it is closed."""

_VALID_S = 0.2


@dataclass
class _Known:
    """How much may be written before the disk is asked again, and until when."""

    min_free_bytes: int
    left_bytes: int
    until_s: float


class Room:
    """The room of one folder. For the thread that records.

    Args:
        folder: on the disk in question.
        local_copies: what may go when room is needed.
        min_free_bytes: what has to stay free; may be changed any time.
    """

    def __init__(self, folder: Path, local_copies: LocalCopies, min_free_bytes: int) -> None:
        self.min_free_bytes = min_free_bytes
        self._folder = folder
        self._local_copies = local_copies
        self._known: _Known | None = None

    def require(self, frame_bytes: int) -> None:
        """See that a frame has room.

        Raises:
            OutOfSpaceError: it has none, and nothing here may go.
        """
        now_s = time.monotonic()
        known = self._known
        if known is not None and known.min_free_bytes == self.min_free_bytes and now_s < known.until_s:
            known.left_bytes -= frame_bytes
            if known.left_bytes > 0:
                return
        wanted = self.min_free_bytes + frame_bytes + RESERVE_BYTES
        self._known = None
        try:
            require_free_space(self._folder, wanted)
        except OutOfSpaceError:
            self._local_copies.make_room(wanted)
            require_free_space(self._folder, wanted)
        # Asking the disk for each small frame would cost as much as writing it.
        free = shutil.disk_usage(self._folder).free
        self._known = _Known(self.min_free_bytes, (free - wanted) // 4, now_s + _VALID_S)

    def again(self, action: Callable[[], _Result], n_bytes: int = RESERVE_BYTES) -> _Result:
        """Do something that writes; if the disk refuses it, once more without copies of so many bytes.

        Raises:
            OutOfSpaceError: it is refused again, or no copy was left.
        """
        try:
            return action()
        except OutOfSpaceError:
            if not self._local_copies.let_go(n_bytes):
                raise
            return action()
