"""Frames that version 0.1 left in its spool. They are read once, at the start, into a segment of today."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from eucentric_core import DataFormatError, Frame, FrameHeader

from ._record import scan_file

__all__ = ["OldSpool"]

_MAGIC = b"EUSP"


@dataclass
class OldSpool:
    """A file of `<session>-<index>.spool`: records of a header and the array itself."""

    path: Path

    def __post_init__(self) -> None:
        found = scan_file(self.path, _MAGIC)
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
