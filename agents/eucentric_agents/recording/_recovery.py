"""What a journal does first: find out what an earlier run, perhaps killed, left behind."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import Annotated

from pydantic import Field

from eucentric_core import FrameHeader, FrozenModel
from eucentric_transfer import Compression

from ._adoption import adopt
from ._folders import Folders, SegmentName
from ._interrupted import complete_seal, seal_in_place
from ._ledger import Ledger
from ._quarantine import Quarantine
from ._rebuild import rebuild
from ._recording import Recording, recording_of
from ._salvage import Salvage

__all__ = ["Recovery", "RecoveryReport"]

_log = logging.getLogger(__name__)


class RecoveryReport(FrozenModel):
    """What opening a journal found of an earlier run. `ledger`: what was damaged of it, and is mended."""

    frames_recovered: Annotated[int, Field(ge=0)] = 0
    torn_segments: Annotated[int, Field(ge=0)] = 0
    damaged_records: Annotated[int, Field(ge=0)] = 0
    seals_completed: Annotated[int, Field(ge=0)] = 0
    shards_adopted: Annotated[int, Field(ge=0)] = 0
    ledger: str | None = None


class Recovery:
    """Puts the folders of a journal in order, finishes interrupted seals, and reopens what is unfinished.

    Raises:
        OutOfSpaceError, JournalError: the disk failed.
    """

    def __init__(
        self,
        folders: Folders,
        ledger: Ledger,
        quarantine: Quarantine,
        *,
        software: str,
        compression: Compression,
    ) -> None:
        self._folders = folders
        self._ledger = ledger
        self._quarantine = quarantine
        self._software = software
        self._compression = compression
        self._counts = dict.fromkeys(RecoveryReport.model_fields.keys() - {"ledger"}, 0)
        self.recordings: list[Recording] = []
        self._run()
        finding = ledger.finding
        self.report = RecoveryReport(**self._counts, ledger=None if finding is None else finding.what)

    def _run(self) -> None:
        segments = self._live_segments()
        found = {
            name: Salvage(self._folders.journal(name), self._folders.shard(name)) for name in sorted(segments)
        }
        if self._ledger.finding is not None or self._ledger.is_empty:
            self._counts["shards_adopted"] = adopt(self._folders, self._ledger, found)
        announced = {salvage.seal.shard.file_name for salvage in found.values() if salvage.seal}
        self._set_unrecorded_shards_aside(announced | self._ledger.shard_names())
        by_session: dict[int, list[SegmentName]] = defaultdict(list)
        for name, salvage in found.items():
            self._counts["torn_segments"] += salvage.torn
            if self._seal(name, salvage):
                self._counts["seals_completed"] += 1
            else:
                by_session[name.session_id].append(name)
        for row in self._ledger.unfinished_sessions():
            recording = recording_of(self._ledger, row)
            self.recordings.append(recording)
            for name in by_session.pop(row.id, []):
                self._reopen(recording, name, found[name])
        for names in by_session.values():
            for name in names:
                self._take(found[name], "no session of this journal knows it")

    def _seal(self, name: SegmentName, salvage: Salvage) -> bool:
        """Whether a seal was interrupted and is finished now, without a copy."""
        if complete_seal(salvage, name.session_id, self._folders, self._ledger):
            return True
        row = self._ledger.session(name.session_id)
        return row is not None and seal_in_place(salvage, name.number, row, self._folders, self._ledger)

    def _live_segments(self) -> set[SegmentName]:
        """The latest generation of each segment; what is left of earlier or unfinished ones is removed."""
        latest: dict[tuple[int, int], SegmentName] = {}
        for path in self._folders.open.glob("*.journal"):
            if name := SegmentName.of(path):
                latest[name[:2]] = max(name, latest.get(name[:2], name))
        begun = {SegmentName.of(path) for path in self._folders.open.glob("*.part")}
        for path in sorted(self._folders.open.iterdir()):
            name = SegmentName.of(path)
            if name is not None and name == latest.get(name[:2]):
                continue
            if path.suffix == ".part" or (name is not None and (name in begun or name[:2] in latest)):
                path.unlink()
            else:
                self._quarantine.take(path, "no journal of this folder speaks of it")
        return set(latest.values())

    def _set_unrecorded_shards_aside(self, known: frozenset[str] | set[str]) -> None:
        # Version 0.1 built shards under this name; the spool has its frames.
        (self._folders.shards / ".building.h5").unlink(missing_ok=True)
        for path in self._folders.shards.glob("*.h5"):
            if path.name not in known:
                self._quarantine.take(path, "no record of this journal speaks of this shard")

    def _reopen(self, recording: Recording, name: SegmentName, salvage: Salvage) -> None:
        origin = (recording.row.instrument, recording.row.session)
        if salvage.origins - {origin}:
            self._take(salvage, "it holds frames of another session")
            return
        if name.number < recording.row.next_index:
            self._take(salvage, "a shard of this number is recorded already")
            return
        if (shard := recording.open) is not None:
            recording.shut(shard)
        recording.next_index = name.number
        headers: list[FrameHeader] = []
        segment = rebuild(
            salvage,
            name._replace(generation=name.generation + 1),
            folders=self._folders,
            quarantine=self._quarantine,
            software=self._software,
            compression=self._compression,
            note=headers.append,
        )
        self._counts["damaged_records"] += len(salvage.damage)
        self._counts["frames_recovered"] += len(headers)
        if salvage.torn:
            _log.warning("the journal of segment %s ended in an unfinished, unacknowledged record", name)
        if not headers:
            segment.discard()
            return
        growing = recording.add(segment)
        for header in headers:
            growing.note(header)
            recording.streams.add(header.stream)
            recording.shapes.note(header)

    def _take(self, salvage: Salvage, why: str) -> None:
        for path in (salvage.journal, salvage.shard):
            if path.exists():
                self._quarantine.take(path, why)
