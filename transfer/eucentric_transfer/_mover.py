"""The seam: what any way of moving files must do. Implementations: `_posix`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Protocol

from pydantic import Field

from eucentric_core import FrozenModel, Sha256

__all__ = ["Mover", "RemoteFile"]


class RemoteFile(FrozenModel):
    """A file at the far end, as the far end sees it."""

    name: str
    size_bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256


class Mover(Protocol):
    """Moves files to and from one far end. Names are checked by `checked_name`.

    A name appears at the far end with its whole content or not at all, whatever is killed meanwhile.
    Putting the same content under the same name again is no error.
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

    def list(self, folder: str) -> tuple[str, ...]:
        """Names of the finished files directly in a folder, sorted; empty if there is no such folder.

        Raises:
            TransferFailedError: the far end does not answer.
        """
        ...
