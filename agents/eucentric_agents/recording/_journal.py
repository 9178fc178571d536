"""The journal: frames become durable, shards are sealed, nothing acknowledged is lost or doubled.

A frame's way: compressed, written once into the open shard (`open/*.h5`) -> flushed -> its record in the
segment's journal (`open/*.journal`) flushed; from here on it may be acknowledged -> the shard is closed,
hashed and announced in that journal -> its content-addressed name -> one transaction that advances the
session and puts the shard into the outbox -> the segment's journal is removed. A crash between any two
steps leaves either the segment or the committed shard as the truth, never neither. A shard that was never
closed is not believed: its chunks are copied by the offsets and checksums in the journal.
"""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from eucentric_core import (
    DataFormatError,
    EucentricError,
    Frame,
    OutOfSpaceError,
    SessionStarted,
    Settings,
    require_free_space,
)
from eucentric_transfer import Compression

from ._commit import Commit, Committer
from ._errors import JournalError, disk_errors
from ._folders import Folders, SegmentName
from ._ledger import Ledger
from ._local_copies import LocalCopies
from ._origin import Origin
from ._packing import Packer
from ._poison import Poison, PoisonKind, poison_in
from ._quarantine import Quarantine
from ._rebuild import rebuild
from ._recording import GrowingShard, Recording
from ._recovery import Recovery, old_spools
from ._rules import MAX_GAP, missing_between, require_near, seals_before, seals_when_idle
from ._salvage import Salvage
from ._sealer import Sealer, SealJob
from ._sealing import ShardSealing
from ._segment import Batch, Segment, is_inline
from ._spool_v1 import OldSpool
from ._steps import reached

__all__ = ["Accepted", "Journal", "open_journal"]

_MAX_SEALING = 3
_RESERVE_BYTES = 1 << 18
"""Room for headers, axes and tables of a shard when it is closed."""

_ROOM_VALID_S = 0.2

Accepted = Literal["stored", "duplicate", "late", "quarantined"]

_log = logging.getLogger(__name__)


@dataclass
class _Room:
    """How much may be written before the disk is asked again, and until when."""

    min_free_bytes: int
    left_bytes: int
    until_s: float


class Journal:
    """Makes frames durable. One process per folder; one thread records, others may use the ledger.

    Args:
        folder: made if missing; holds `journal.sqlite`, `open/`, `shards/`, `quarantine/`.
        frames_per_shard: acquisitions per shard.
        min_free_bytes: with less room than this on the disk nothing is accepted; may be changed any time.
        compression: how chunks are stored.
        keep_receipted_bytes: how much may stay here of what the repository has.
        max_quarantine_bytes: with more in quarantine, a further frame for it pauses the recording.

    Raises:
        ConfigurationError: another process records into this folder.
        OutOfSpaceError, JournalError: the disk failed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        frames_per_shard: int,
        min_free_bytes: int,
        compression: Compression = "blosc2-lz4",
        keep_receipted_bytes: int = 0,
        max_quarantine_bytes: int = 4 << 30,
    ) -> None:
        self.folders = Folders(folder)
        self._frames_per_shard = frames_per_shard
        self.min_free_bytes = min_free_bytes
        self._compression = compression
        self._software = f"eucentric {version('eucentric')}"
        self.quarantine = Quarantine(self.folders.quarantine, max_quarantine_bytes)
        self.ledger = Ledger(self.folders.database)
        self.local_copies = LocalCopies(self.folders, self.ledger, keep_bytes=keep_receipted_bytes)
        try:
            with disk_errors("recovering the journal"):
                recovery = Recovery(
                    self.folders,
                    self.ledger,
                    self.quarantine,
                    software=self._software,
                    compression=compression,
                )
        except BaseException:
            self.ledger.close()
            raise
        self._recordings = {(r.row.instrument, r.row.session): r for r in recovery.recordings}
        self._packer = Packer(compression)
        self._committer = Committer()
        self._sealer = Sealer(
            ShardSealing(self.folders, self.ledger, self._rebuild, self.local_copies.let_go)
        )
        self._unreported: list[Commit] = []
        self._room: _Room | None = None
        self.last_poison: Poison | None = None
        self.recovery = recovery.report
        try:
            self._take_in_old_spools()
        except BaseException:
            self.close()
            raise

    def start_session(self, event: SessionStarted) -> None:
        """Open a session; any other open session of the same instrument is over.

        Raises:
            DataFormatError: a session of this name is already over.
        """
        for instrument, session in list(self._recordings):
            if instrument == event.instrument and session != event.session:
                self.stop_session(instrument, session, frames=None)
        self._admit(self._known(event.instrument, event.session, event.sample, event.material))

    def append(self, frame: Frame) -> Accepted:
        """Accept a frame; it is durable after the next `sync`. Appending it again does nothing.

        Returns:
            `late` for an acquisition that was given up as missing when a later shard was closed;
            `quarantined` for a frame that cannot be part of a data set. Both are set aside, durably.

        Raises:
            DataFormatError: the session is over, or the sequence number is not believable.
            OutOfSpaceError, JournalError: not accepted; `sync`, and append again what is not durable.
        """
        header = frame.header
        recording = self._known(header.instrument, header.session, header.sample, header.material)
        if recording.row.state != "open" and recording.has(header):
            return "duplicate"
        self._admit(recording)
        require_near(header.sequence, recording.last_known, "Sequence number")
        self._refuse_broken()
        self._hand_over(recording)
        key = (header.sequence, header.stream)
        if key in recording.quarantined:
            return "duplicate"
        shard = recording.closing_around(header.sequence)
        if shard is None and header.sequence < recording.next_sequence:
            return self._too_late(recording, frame) if header.sequence in recording.missing else "duplicate"
        shard = shard or recording.open
        if shard is not None and header.stream in shard.held.get(header.sequence, ()):
            return "duplicate"
        if shard is not None and shard.last is not None and key not in shard.lost:
            return self._too_late(recording, frame)
        if poison := poison_in(frame, recording.shapes):
            return self._set_aside(recording, frame, poison)
        if shard is not None and shard.last is None:
            full = seals_before(header.sequence, shard.held, self._frames_per_shard)
            if full or (header.sequence not in shard.held and not shard.fits(header)):
                self._shut(recording, shard)
                shard = None
        if shard is not None and not shard.fits(header):
            what = f"Frame {header.sequence} has more streams and shapes than a shard has groups."
            return self._set_aside(recording, frame, Poison("too_many_shapes", what))
        self._require_room(2 * header.nbytes)
        shard = shard or self._begin(recording)
        segment = shard.segment
        segment.drain(keep=2 * self._packer.workers - 1)
        segment.append(frame, None if is_inline(header) else self._packer.submit(frame))
        shard.note(header)
        recording.streams.add(header.stream)
        recording.shapes.note(header)
        return "stored"

    def quarantine_message(
        self,
        stream: str,
        header: bytes,
        payload: memoryview,
        error: DataFormatError,
        *,
        origin: Origin,
        kind: PoisonKind = "malformed",
    ) -> None:
        """Set a message aside that is no frame at all, or was refused, durably.

        If it says of which open session and acquisition it is, that acquisition is listed as missing.

        Raises:
            OutOfSpaceError, JournalError: it is not set aside; again later.
        """
        said = Poison(kind, error.report().what)
        facts = {**_reason(said), **origin.model_dump(), "stream": stream}
        file = self.quarantine.keep_frame(header, payload, facts)
        recording = self._recordings.get((origin.instrument, origin.session))
        sequence = origin.sequence
        if recording is not None and sequence is not None and sequence - recording.last_known <= MAX_GAP:
            self.ledger.note_quarantined(recording.row.id, stream, sequence, said.kind, file)
        reached("quarantine.noted")

    def begin_commit(self) -> Commit:
        """Begin to make everything appended durable, beside what is appended next.

        Raises:
            OutOfSpaceError, JournalError: call `sync`.
        """
        self._refuse_broken()
        for recording in self._recordings.values():
            for shard in recording.growing:
                shard.segment.drain()
        batches = [
            (shard.segment, shard.segment.take_batch())
            for recording in self._recordings.values()
            for shard in recording.growing
        ]
        before, self._unreported = self._unreported, []
        return self._committer.submit([(s, batch) for s, batch in batches if batch]).after(before)

    def sync(self) -> None:
        """Make everything appended durable: after this it may be acknowledged.

        Raises:
            OutOfSpaceError, JournalError: frames that were not durable before are perhaps forgotten;
                append them again, those that are known are recognised.
        """
        try:
            self._sync()
        except OutOfSpaceError:
            growing_bytes = sum(shard.segment.shard_bytes for shard in self._growing())
            if not self.local_copies.let_go(2 * growing_bytes + _RESERVE_BYTES):
                raise
            self._sync()

    def _sync(self) -> None:
        if (error := self._repair()) is not None:
            raise error
        commit = self.begin_commit()
        try:
            commit.wait()
        except EucentricError:
            self._repair()
            raise
        # What was in flight before this commit is decided now, too, and may have failed.
        if (error := self._repair()) is not None:
            raise error
        for recording in self._recordings.values():
            self._hand_over(recording)

    def stop_session(self, instrument: str, session: str, *, frames: int | None) -> None:
        """End a session: seal what is open and put its manifest into the outbox. Again does nothing.

        Args:
            instrument: whose session.
            session: its name.
            frames: how many acquisitions were published, None if unknown (it was abandoned).

        Raises:
            DataFormatError: `frames` is not believable.
            OutOfSpaceError, JournalError: the session is marked as over and `tidy` will finish it.
        """
        row = self.ledger.open_session(instrument, session, sample=None, material=None)
        if row.state == "closed":
            return
        recording = self._recordings.setdefault((instrument, session), Recording(row))
        if frames is not None:
            require_near(frames - 1, recording.last_known, "Number of frames")
        self.sync()
        recording.row = self.ledger.mark_closing(row.id, frames)
        reached("session.closing")
        self._finish(recording)

    def tidy(self) -> None:
        """When nothing arrives: finish sessions that are over, seal shards that are full and complete.

        Raises:
            OutOfSpaceError, JournalError: call it again later.
        """
        self.sync()
        for recording in list(self._recordings.values()):
            shard = recording.open
            if recording.row.state == "closing":
                self._finish(recording)
            elif shard is not None and seals_when_idle(
                shard.held,
                self._frames_per_shard,
                session_streams=recording.streams,
                acquisitions=recording.next_sequence + len(shard.held),
            ):
                self._shut(recording, shard)
        self.wait_sealed()

    def wait_sealed(self) -> None:
        """Wait until every shard that takes no more frames is sealed.

        Raises:
            OutOfSpaceError, JournalError: one could not be; it is tried again.
        """
        self.sync()
        self._sealer.wait()

    @property
    def open_sessions(self) -> int:
        """Number of sessions that are not finished."""
        return len(self._recordings)

    @property
    def shards_sealed(self) -> int:
        """Number of shards ever sealed in this folder."""
        return sum(shards for shards, _ in self.ledger.backlog().values())

    @property
    def shards_unsealed(self) -> int:
        """Number of shards that are open, or full and not sealed yet."""
        return self._sealer.waiting + sum(len(r.growing) for r in list(self._recordings.values()))

    def close(self) -> None:
        """Close the files. What is not sealed stays where it is and is found at the next start."""
        self._packer.close()
        self._committer.close()
        self._sealer.close()
        for recording in self._recordings.values():
            for shard in recording.growing:
                shard.segment.close()
        self.ledger.close()

    def _known(self, instrument: str, session: str, sample: str | None, material: str | None) -> Recording:
        known = self._recordings.get((instrument, session))
        if known is None:
            row = self.ledger.open_session(instrument, session, sample=sample, material=material)
            known = Recording(row, quarantined=self.ledger.quarantined(row.id))
        elif known.says_more(sample, material):
            row = self.ledger.open_session(instrument, session, sample=sample, material=material)
            known.row = replace(known.row, sample=row.sample, material=row.material)
        return known

    def _admit(self, recording: Recording) -> None:
        row = recording.row
        if row.state != "open":
            raise DataFormatError(
                f"Session {row.session} of {row.instrument} is over.",
                safe="its data set is complete and unchanged.",
                next_step="start a session under a new name.",
            )
        self._recordings.setdefault((row.instrument, row.session), recording)

    def _begin(self, recording: Recording) -> GrowingShard:
        if self._sealer.waiting > _MAX_SEALING:
            self._sealer.wait(most=_MAX_SEALING)
        name = SegmentName(recording.row.id, recording.next_index, 0)
        return recording.add(
            Segment(self.folders, name, software=self._software, compression=self._compression)
        )

    def _require_room(self, frame_bytes: int) -> None:
        now_s = time.monotonic()
        known = self._room
        if known is not None and known.min_free_bytes == self.min_free_bytes and now_s < known.until_s:
            known.left_bytes -= frame_bytes
            if known.left_bytes > 0:
                return
        wanted = self.min_free_bytes + frame_bytes + _RESERVE_BYTES
        self._room = None
        try:
            require_free_space(self.folders.root, wanted)
        except OutOfSpaceError:
            self.local_copies.make_room(wanted)
            require_free_space(self.folders.root, wanted)
        # Asking the disk for each small frame would cost as much as writing it.
        free = shutil.disk_usage(self.folders.root).free
        self._room = _Room(self.min_free_bytes, (free - wanted) // 4, now_s + _ROOM_VALID_S)

    def _set_aside(self, recording: Recording, frame: Frame, poison: Poison) -> Literal["quarantined"]:
        header = frame.header
        self.last_poison = poison
        facts = {
            **_reason(poison),
            **header.model_dump(
                mode="json", include={"instrument", "session", "stream", "sequence", "shape", "dtype"}
            ),
        }
        file = self.quarantine.keep_frame(header.model_dump_json().encode(), frame.array.tobytes(), facts)
        self.ledger.note_quarantined(recording.row.id, header.stream, header.sequence, poison.kind, file)
        recording.quarantined.add((header.sequence, header.stream))
        reached("quarantine.noted")
        return "quarantined"

    def _too_late(self, recording: Recording, frame: Frame) -> Literal["late"]:
        header = frame.header
        what = f"Frame {header.sequence} of stream {header.stream!r} came after its shard was closed."
        self._set_aside(recording, frame, Poison("late", what))
        return "late"

    def _shut(self, recording: Recording, shard: GrowingShard) -> None:
        """The open shard takes no new acquisition; it goes to the sealer once it is durable."""
        if not shard.held:
            # Nothing of it became durable.
            recording.growing.remove(shard)
            recording.next_index = shard.index
            shard.segment.discard()
            return
        shard.segment.drain()
        gaps = missing_between(recording.next_sequence, max(shard.held) + 1, shard.held)
        recording.missing.update(gaps)
        recording.shut(shard)
        batches: list[tuple[Segment, Batch]] = [(shard.segment, shard.segment.take_batch())]
        self._unreported.append(self._committer.submit(batches))

    def _hand_over(self, recording: Recording) -> None:
        """Give shards that are full and durable to the sealer, in order."""
        while recording.growing and recording.growing[0].settled:
            shard = recording.growing[0]
            if shard.segment.broken:
                return
            if shard.held:
                missing = missing_between(recording.sealed_below, max(shard.held), shard.held)
                job = SealJob(
                    recording.row.id, shard.index, shard.segment, shard.held, missing, shard.simulated
                )
                recording.sealed_below = max(shard.held) + 1
                self._sealer.submit(job)
            else:
                shard.segment.discard()
            del recording.growing[0]

    def _finish(self, recording: Recording) -> None:
        shard = recording.open
        if shard is not None:
            self._shut(recording, shard)
        for growing in recording.growing:
            # Nothing more comes: what failed and was not sent again is missing.
            growing.lost.clear()
        self.sync()
        self._sealer.wait()
        row = recording.row
        missing = missing_between(recording.sealed_below, row.expected_frames or 0, ())
        manifest = self.ledger.close_session(row, missing)
        del self._recordings[(row.instrument, row.session)]
        reached("session.closed")
        _log.info(
            "data set %s closed: %d frames in %d shards, %d missing",
            manifest.dataset_id,
            manifest.frames,
            len(manifest.shards),
            len(manifest.missing_sequences),
        )

    def _growing(self) -> list[GrowingShard]:
        return [shard for recording in self._recordings.values() for shard in recording.growing]

    def _refuse_broken(self) -> None:
        if any(shard.segment.broken for shard in self._growing()):
            raise JournalError(
                "Frames could not be made durable.",
                safe="none of them was acknowledged.",
                next_step="they are recorded again by themselves.",
            )

    def _repair(self) -> EucentricError | None:
        """Build what is broken anew from its journal, and say why it broke."""
        broken = [shard for shard in self._growing() if shard.segment.broken]
        if not broken:
            return None
        error: EucentricError | None = None
        for commit in (*self._unreported, self._committer.submit([])):
            try:
                commit.wait()
            except EucentricError as failed:
                error = failed
        self._unreported = []
        for shard in broken:
            shard.segment.close()
            with disk_errors("building a segment anew"):
                salvage = Salvage(shard.segment.journal_path, shard.segment.shard_path)
                shard.replace(self._rebuild(salvage, shard.segment))
        return error or JournalError(
            "Frames could not be made durable before.",
            safe="none of them was acknowledged; everything else is recorded.",
            next_step="they are recorded again by themselves.",
        )

    def _rebuild(self, salvage: Salvage, old: Segment) -> Segment:
        return rebuild(
            salvage,
            old.name._replace(generation=old.name.generation + 1),
            folders=self.folders,
            quarantine=self.quarantine,
            software=self._software,
            compression=self._compression,
        )

    def _take_in_old_spools(self) -> None:
        counts = self.recovery.model_dump()
        sessions = {recording.row.id: recording.row for recording in self._recordings.values()}
        for path in old_spools(self.folders.spool):
            spool = OldSpool(path)
            row = sessions.get(spool.segment[0]) if spool.segment else None
            if row is None or spool.segment is None:
                self.quarantine.take(path, "no session of this journal knows it")
                continue
            if spool.segment[1] >= row.next_index:
                for frame in spool.frames():
                    if (frame.header.instrument, frame.header.session) == (row.instrument, row.session):
                        counts["frames_recovered"] += self._append_found(frame)
                self.sync()
                for start, stop in spool.damaged:
                    content = path.read_bytes()[start:stop]
                    what = f"bytes {start} to {stop} of {path.name} are damaged"
                    self.quarantine.keep(f"{path.name}-{start}", content, {"kind": "damaged", "what": what})
            counts["torn_segments"] += spool.torn
            counts["damaged_records"] += len(spool.damaged)
            path.unlink()
        self.recovery = type(self.recovery).model_validate(counts)

    def _append_found(self, frame: Frame) -> bool:
        header = frame.header
        recording = self._recordings[(header.instrument, header.session)]
        if recording.row.state == "open":
            return self.append(frame) == "stored"
        # The session is over, but what was acknowledged in it still belongs to it.
        recording.row, row = recording.row.reopened(), recording.row
        try:
            return self.append(frame) == "stored"
        finally:
            recording.row = row


def _reason(poison: Poison) -> dict[str, Any]:
    report = poison.error().report()
    return {"kind": poison.kind, "what": report.what, "safe": report.safe, "next_step": report.next_step}


def open_journal(settings: Settings) -> Journal:
    """The journal of this machine's agent, in `<home>/agent/recording`; recovers what a crash left."""
    agent = settings.agent
    return Journal(
        settings.home / "agent" / "recording",
        frames_per_shard=agent.frames_per_shard,
        min_free_bytes=agent.min_free_bytes,
        compression=agent.compression,
        keep_receipted_bytes=agent.keep_receipted_bytes,
        max_quarantine_bytes=agent.max_quarantine_bytes,
    )
