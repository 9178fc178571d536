"""Frames that version 0.1 left in its spool. They are read once, at the start, into a segment of today."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from eucentric_core import DataFormatError, Frame, FrameHeader

from ._ledger import SessionRow
from ._quarantine import Quarantine
from ._record import scan_file
from ._record_format import SPOOL

__all__ = ["OldSpool", "TakenIn", "take_in_old_spools"]


@dataclass
class OldSpool:
    """A file of `<session>-<index>.spool`: records of a header and the array itself."""

    path: Path

    def __post_init__(self) -> None:
        found = scan_file(self.path, SPOOL)
        self.torn = found.torn_from is not None
        self.damaged = list(found.damaged)
        self._records = found.records

    @property
    def segment(self) -> tuple[int, int] | None:
        """Session and index in its name."""
        session, _, index = self.path.stem.partition("-")
        return (int(session), int(index)) if session.isdigit() and index.isdigit() else None

    def frames(self) -> Iterator[Frame]:
        """Every intact frame."""
        with self.path.open("rb") as file:
            for record in self._records:
                try:
                    header = FrameHeader.model_validate_json(record.header)
                    file.seek(record.payload_offset)
                    array = np.frombuffer(file.read(record.payload_bytes), header.dtype)
                    yield Frame(header, array.reshape(header.shape))
                except (ValidationError, ValueError, DataFormatError):
                    start = record.payload_offset - len(record.header)
                    self.damaged.append((start, record.payload_offset + record.payload_bytes))


@dataclass(frozen=True, slots=True)
class TakenIn:
    """How many frames were taken in, and what was torn or damaged."""

    frames: int = 0
    torn: int = 0
    damaged: int = 0


def take_in_old_spools(
    folder: Path,
    sessions: Mapping[int, SessionRow],
    quarantine: Quarantine,
    append: Callable[[Frame], bool],
    sync: Callable[[], None],
) -> TakenIn:
    """Record what version 0.1 left, each spool once; what belongs nowhere is put aside.

    Args:
        folder: of the spools; there may be none.
        sessions: unfinished ones by their number.
        quarantine: for what is damaged.
        append: records a frame; whether it is new.
        sync: makes it durable.

    Raises:
        OutOfSpaceError, JournalError: the disk failed; the spool stays.
    """
    frames = torn = damaged = 0
    for path in sorted(folder.glob("*.spool")) if folder.is_dir() else []:
        spool = OldSpool(path)
        row = sessions.get(spool.segment[0]) if spool.segment else None
        if row is None or spool.segment is None:
            quarantine.take(path, "no session of this journal knows it")
            continue
        if spool.segment[1] >= row.next_index:
            for frame in spool.frames():
                if (frame.header.instrument, frame.header.session) == (row.instrument, row.session):
                    frames += append(frame)
            sync()
            for start, stop in spool.damaged:
                content = path.read_bytes()[start:stop]
                what = f"bytes {start} to {stop} of {path.name} are damaged"
                quarantine.keep(f"{path.name}-{start}", content, {"kind": "damaged", "what": what})
        torn += spool.torn
        damaged += len(spool.damaged)
        path.unlink()
    return TakenIn(frames, torn, damaged)
