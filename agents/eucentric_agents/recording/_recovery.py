"""What a journal does first: find out what an earlier run, perhaps killed, left behind."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

from pydantic import Field

from eucentric_core import FrozenModel, write_atomic

from ._folders import Folders
from ._ledger import Ledger
from ._recording import Recording
from ._spool import SpoolSegment

__all__ = ["RecoveryReport", "recover"]

_log = logging.getLogger(__name__)


class RecoveryReport(FrozenModel):
    """What opening a journal found of an earlier run."""

    frames_recovered: Annotated[int, Field(ge=0)] = 0
    torn_segments: Annotated[int, Field(ge=0)] = 0
    damaged_records: Annotated[int, Field(ge=0)] = 0


def recover(folders: Folders, ledger: Ledger) -> tuple[list[Recording], RecoveryReport]:
    """Unfinished sessions with their reopened segments, and a report. Nothing is sealed yet.

    Raises:
        JournalError: the disk failed.
    """
    _set_unrecorded_shards_aside(folders, ledger)
    recordings = [Recording(row) for row in ledger.unfinished_sessions()]
    open_segments = {folders.segment(r.row.id, r.row.next_index): r for r in recordings}
    # Segments are removed in order, so of a session only the last sealed one can be left.
    sealed = {folders.segment(row.id, row.next_index - 1) for row in ledger.sessions_with_shards()}
    found: list[SpoolSegment] = []
    for path in sorted(folders.spool.glob("*.spool")):
        if path in sealed:
            path.unlink()
        elif (recording := open_segments.get(path)) is None:
            folders.set_aside(path, "no session of this journal knows it")
        elif (segment := _reopen(folders, recording, path)) is not None:
            found.append(segment)
    return recordings, RecoveryReport(
        frames_recovered=sum(len(segment.found.records) for segment in found),
        torn_segments=sum(segment.found.torn_from is not None for segment in found),
        damaged_records=sum(len(segment.found.damaged) for segment in found),
    )


def _set_unrecorded_shards_aside(folders: Folders, ledger: Ledger) -> None:
    folders.building.unlink(missing_ok=True)
    recorded = ledger.shard_names()
    for path in folders.shards.glob("*.h5"):
        if path.name not in recorded:
            folders.set_aside(path, "sealed but not recorded; the spool has its frames")


def _reopen(folders: Folders, recording: Recording, path: Path) -> SpoolSegment | None:
    segment = SpoolSegment(path)
    origins = {(header.instrument, header.session) for header in segment.headers}
    if origins - {(recording.row.instrument, recording.row.session)}:
        segment.close()
        folders.set_aside(path, "it holds frames of another session")
        return None
    recording.segment = segment
    recording.recount()
    for start, stop in segment.found.damaged:
        with path.open("rb") as file:
            file.seek(start)
            damaged = file.read(stop - start)
        kept = folders.quarantine / f"{path.stem}-{start}.bin"
        write_atomic(kept, damaged)
        _log.error("damaged record in the spool: %d bytes copied to %s", len(damaged), kept.name)
    if segment.found.torn_from is not None:
        _log.warning("spool segment %s ended in an unfinished, unacknowledged frame", path.name)
    return segment
