"""Bytes on their way: each piece is paid for, shown, and can be stopped."""

from __future__ import annotations

import threading

from eucentric_core import TransportError

from ._batch import stopped
from ._mover import Bandwidth, OnProgress, Progress

__all__ = ["Passage"]


class Passage:
    """One file's way through. Any number of threads may let pieces of it through.

    Args:
        name: of the file at the far end.
        size_bytes: of the whole file, for who watches.
        bandwidth: what its bytes are paid from; None if they need not be.
        stopping: ends the passage early.
        on_progress: told after each piece.
    """

    def __init__(
        self,
        name: str,
        size_bytes: int,
        *,
        bandwidth: Bandwidth | None = None,
        stopping: threading.Event | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.name = name
        self._size_bytes = size_bytes
        self._bandwidth = bandwidth
        self._stopping = stopping
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._sent_bytes = 0

    def let_through(self, n_bytes: int) -> None:
        """Wait until `n_bytes` may leave.

        Raises:
            FarEndError: this side stops.
        """
        if self._bandwidth is not None:
            try:
                self._bandwidth.take(n_bytes, self._stopping)
            except TransportError as error:
                raise stopped(self.name) from error
        self.go_on()
        self.count(n_bytes)

    def go_on(self) -> None:
        """Nothing, while this side goes on.

        Raises:
            FarEndError: this side stops.
        """
        if self._stopping is not None and self._stopping.is_set():
            raise stopped(self.name)

    def count(self, n_bytes: int) -> None:
        """Show `n_bytes` as arrived that need not be sent again; negative for some that must be."""
        with self._lock:
            self._sent_bytes += n_bytes
            progress = Progress(self.name, self._sent_bytes, self._size_bytes)
        if self._on_progress is not None:
            self._on_progress(progress)
