"""The seam: what any way of moving files must do. Implementations: `_posix`, `_s3_mover`, `_globus`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import Field

from eucentric_core import EucentricError, FrozenModel, Sha256, TransferFailedError

__all__ = ["Bandwidth", "FarEndError", "Mover", "OnProgress", "Outgoing", "Progress", "RemoteFile"]


class FarEndError(TransferFailedError):
    """The far end as a whole does not answer or refuses us: no file can arrive now, whichever it is."""


class RemoteFile(FrozenModel):
    """A file at the far end, as the far end sees it."""

    name: str
    size_bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A file to send, or a small document held in memory.

    Args:
        source: local file, or the content itself.
        name: name at the far end; its folders are made.
        sha256: what the content must be; None to take it as it is.
    """

    source: Path | bytes
    name: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a file has got: `sent_bytes` of `size_bytes` have left this machine."""

    name: str
    sent_bytes: int
    size_bytes: int


OnProgress = Callable[[Progress], None]
"""Called now and then by whichever thread sends; must return at once."""


class Bandwidth(Protocol):
    """What bytes that leave the machine are paid from; `eucentric_core.transport.Pacer` is one."""

    def take(self, n_bytes: int, stopping: threading.Event | None = None) -> None:
        """Wait until `n_bytes` may leave.

        Raises:
            TransportError: `stopping` was set meanwhile.
        """
        ...


class Mover(Protocol):
    """Moves files to and from one far end. Names are checked by `checked_name`.

    A name appears at the far end with its whole content or not at all, whatever is killed meanwhile.
    Putting the same content under the same name again is no error.

    Every method raises `DataFormatError` for a name that is not plain, and `FarEndError` (a
    `TransferFailedError`) when the far end as a whole does not answer or refuses us.
    """

    def put(self, source: Path, name: str, *, sha256: str | None = None) -> RemoteFile:
        """Copy a local file and confirm its hash at the far end. The source is left alone.

        Args:
            source: local file.
            name: name at the far end; its folders are made.
            sha256: what the content must be; None to take the source as it is.

        Raises:
            IntegrityError: the source is missing or is not what `sha256` says; trying again is no use.
            TransferFailedError: it did not arrive as it left; try again.
            OutOfSpaceError: the far end has no room.
        """
        ...

    def put_bytes(self, content: bytes, name: str) -> RemoteFile:
        """The same for a small document held in memory.

        Raises:
            TransferFailedError: it did not arrive as it left; try again.
            OutOfSpaceError: the far end has no room.
        """
        ...

    def put_many(self, files: Sequence[Outgoing]) -> tuple[RemoteFile | EucentricError, ...]:
        """Send a batch; what became of each, in the order given.

        One file's failure does not hold up the others. When the far end as a whole fails, every file
        that had not arrived by then has the `FarEndError` or `OutOfSpaceError` as its answer.
        """
        ...

    def size(self, name: str) -> int | None:
        """Size in bytes of a file at the far end, None if there is no such file.

        Raises:
            TransferFailedError: the far end does not answer.
        """
        ...

    def sha256(self, name: str) -> str:
        """Hash of a file as it lies at the far end.

        Raises:
            TransferFailedError: it is not there, or cannot be read.
        """
        ...

    def read_bytes(self, name: str, *, max_bytes: int) -> bytes:
        """A small document from the far end.

        Raises:
            TransferFailedError: it is not there, or cannot be read.
            DataFormatError: it is longer than `max_bytes`.
        """
        ...

    def read_many(self, names: Sequence[str], *, max_bytes: int) -> Mapping[str, bytes | None]:
        """Small documents from the far end by name; None for one that is not there.

        Raises:
            TransferFailedError: the far end does not answer, or one cannot be read.
            DataFormatError: one is longer than `max_bytes`.
        """
        ...

    def get(self, name: str, target: Path, *, sha256: str | None = None) -> RemoteFile:
        """Fetch a file into a local one, whose folder must exist. It appears whole or not at all.

        Args:
            name: name at the far end.
            target: local file; one that is there is replaced.
            sha256: what the content must be; None to take it as it is.

        Raises:
            TransferFailedError: it is not there, or did not arrive.
            IntegrityError: what arrived here is not what `sha256` says; `target` is untouched.
            OutOfSpaceError: the local disk has no room.
        """
        ...

    def remove(self, name: str, *, sha256: str) -> None:
        """Remove a file at the far end, if its content there is still what `sha256` says.

        To remove what is already gone is no error.

        Raises:
            IntegrityError: another content lies there; it is left alone.
            TransferFailedError: it could not be removed.
        """
        ...

    def list(self, folder: str) -> tuple[str, ...]:
        """Names of the finished files directly in a folder, sorted; empty if there is no such folder.

        Raises:
            TransferFailedError: the far end does not answer.
        """
        ...

    def close(self) -> None:
        """Let go of connections. What was put stays; the mover is not used afterwards."""
        ...
