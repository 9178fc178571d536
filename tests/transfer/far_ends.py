"""What the tests of movers know of a far end: how to open a mover to it, look at it, and break it.

A new kind of mover joins by a class like `Folder` (in a module of its own), a fixture `<kind>_far_end` in
`conftest.py` and its name in `FAR_ENDS`: every test of `test_movers.py` then runs against it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

from eucentric_transfer import Mover, MoverOptions, PosixMover
from eucentric_transfer._passage import Passage

FAR_ENDS = ["posix", "s3", "globus"]
"""Kinds of far ends, in the order they are tested."""

Fault = Literal["gone", "damaging"]
"""gone: the far end does not answer. damaging: what is sent there arrives changed."""


class FarEnd(ABC):
    """A far end as somebody sees it who stands beside it."""

    @abstractmethod
    def open(self, options: MoverOptions | None = None) -> Mover:
        """A new mover to it; the test closes it or not."""

    @abstractmethod
    def files(self) -> Mapping[str, bytes]:
        """Everything that lies there by name, what is hidden or half included; not asked of the mover."""

    @abstractmethod
    def plant(self, name: str, content: bytes) -> None:
        """Somebody else writes a file there, without the mover."""

    @abstractmethod
    def suffering(self, fault: Fault) -> AbstractContextManager[None]:
        """While it lasts, movers that are opened within it meet the fault."""


class RottingDisk(PosixMover):
    """A folder whose storage changes a byte of what was written."""

    def _copy(self, stream: BinaryIO, temporary: Path, passage: Passage, expected: str | None) -> str:
        sent = super()._copy(stream, temporary, passage, expected)
        content = bytearray(temporary.read_bytes())
        content[0] ^= 1
        temporary.write_bytes(content)
        return sent


class Folder(FarEnd):
    """A folder both sides see."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._mover: type[PosixMover] = PosixMover

    def open(self, options: MoverOptions | None = None) -> Mover:
        return self._mover(self.root, options)

    def files(self) -> Mapping[str, bytes]:
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file()
        }

    def plant(self, name: str, content: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    @contextmanager
    def suffering(self, fault: Fault) -> Iterator[None]:
        away = self.root.with_name("away")
        if fault == "gone":
            self.root.rename(away)
        else:
            self._mover = RottingDisk
        try:
            yield
        finally:
            if fault == "gone":
                away.rename(self.root)
            self._mover = PosixMover
