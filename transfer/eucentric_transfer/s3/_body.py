"""A piece of a file as a request's body: paid for when it is sent, not when it is read to be signed."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eucentric_core import EucentricError, IntegrityError

from .._passage import Passage

__all__ = ["Body", "pay_for_bodies"]


class Body:
    """`size_bytes` of a file from `offset` on, as a seekable stream.

    The SDK reads a body once to sign it and once, from its start, for every time that it is sent. Only what
    is sent is paid for: `leaves` is told just before that, and a jump back ends it.

    Args:
        source: local file.
        offset: where the piece starts.
        size_bytes: its length.
        passage: of the whole file.
    """

    def __init__(self, source: Path, offset: int, size_bytes: int, passage: Passage) -> None:
        self._stream = source.open("rb")
        self._name = source.name
        self._offset = offset
        self._size_bytes = size_bytes
        self._passage = passage
        self._position = 0
        self._counted_bytes = 0
        self._leaving = False
        self.failure: EucentricError | None = None
        self.seek(0)

    def leaves(self) -> None:
        """From here on what is read is sent."""
        self._leaving = True

    def read(self, amount: int | None = -1) -> bytes:
        """Up to `amount` bytes; waits until they are paid for.

        Raises:
            FarEndError: this side stops.
            IntegrityError: the file cannot be read.
        """
        left = self._size_bytes - self._position
        wanted = left if amount is None or amount < 0 else min(amount, left)
        try:
            content = self._read(wanted)
            if self._leaving and content:
                self._passage.let_through(len(content))
                self._counted_bytes += len(content)
        except EucentricError as error:
            self.failure = error
            raise
        self._position += len(content)
        return content

    def _read(self, wanted: int) -> bytes:
        try:
            content = self._stream.read(wanted)
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error
        if len(content) < wanted:
            # The store would wait for the rest until its patience ends.
            raise self._unreadable("it is shorter than it was")
        return content

    def _unreadable(self, why: str) -> IntegrityError:
        return IntegrityError(
            f"The file to send, {self._name}, cannot be read: {why}.",
            safe="nothing appeared at the far end.",
            next_step="see the journal's quarantine; the other files are not affected.",
        )

    def seek(self, position: int, whence: int = 0) -> int:
        """Go to a position within the piece."""
        self._position = position + (0, self._position, self._size_bytes)[whence]
        self._stream.seek(self._offset + self._position)
        self._leaving = False
        if self._counted_bytes:
            # It is sent once more: what had left does not count.
            self._passage.count(-self._counted_bytes)
            self._counted_bytes = 0
        return self._position

    def tell(self) -> int:
        """The position within the piece."""
        return self._position

    def __len__(self) -> int:
        return self._size_bytes

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        if error is not None and self.failure is not None:
            # What the SDK says hides why: the body ended it.
            raise self.failure from error


def pay_for_bodies(client: Any) -> None:
    """Tell every `Body` of this client when it leaves."""

    def before_send(request: Any, **_: Any) -> None:
        if isinstance(request.body, Body):
            request.body.leaves()

    client.meta.events.register("before-send.s3", before_send)
