"""The journal: frames become durable, shards are sealed, nothing acknowledged is lost or doubled.

A frame's way: spool segment (fsync; from here on it may be acknowledged) -> HDF5 shard under a temporary
name (fsync, SHA-256) -> its content-addressed name -> one transaction that advances the session and puts
the shard into the outbox -> the segment is removed. A crash between any two steps leaves either the
segment or the committed shard as the truth, never neither; what is left of the other is recognised.
"""

from __future__ import annotations

import logging
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from eucentric_core import (
    DataFormatError,
    EucentricError,
    Frame,
    SessionStarted,
    Settings,
    Shard,
    fsync_directory,
    require_free_space,
    sha256_file,
    utc_now,
)
from eucentric_transfer import write_shard

from ._errors import disk_errors
from ._folders import Folders
from ._ledger import Ledger
from ._recording import Recording
from ._recovery import recover
from ._rules import missing_between, require_near, seals_before, seals_when_idle
from ._spool import SpoolSegment

__all__ = ["Journal", "open_journal"]

_log = logging.getLogger(__name__)


class Journal:
    """Makes frames durable. One process per folder; one thread records, others may use the ledger.

    Args:
        folder: made if missing; holds `journal.sqlite`, `spool/`, `shards/`, `quarantine/`.
        frames_per_shard: acquisitions per shard.
        min_free_bytes: with less room than this on the disk nothing is accepted; may be changed any time.

    Raises:
        ConfigurationError: another process records into this folder.
        OutOfSpaceError, JournalError: the disk failed.
    """

    def __init__(self, folder: Path, *, frames_per_shard: int, min_free_bytes: int) -> None:
        self.folders = Folders(folder)
        self._frames_per_shard = frames_per_shard
        self.min_free_bytes = min_free_bytes
        self._software = f"eucentric {version('eucentric')}"
        self.ledger = Ledger(self.folders.database)
        try:
            with disk_errors("recovering the journal"):
                recordings, self.recovery = recover(self.folders, self.ledger)
        except BaseException:
            self.ledger.close()
            raise
        self._recordings = {(r.row.instrument, r.row.session): r for r in recordings}

    def start_session(self, event: SessionStarted) -> None:
        """Open a session; any other open session of the same instrument is over.

        Raises:
            DataFormatError: a session of this name is already over.
        """
        for instrument, session in list(self._recordings):
            if instrument == event.instrument and session != event.session:
                self.stop_session(instrument, session, frames=None)
        self._recording(event.instrument, event.session, event.sample, event.material)

    def append(self, frame: Frame) -> Literal["stored", "duplicate", "late"]:
        """Accept a frame; it is durable after the next `sync`. Appending it again does nothing.

        Returns:
            `late` for an acquisition that was given up as missing when a later shard was sealed.

        Raises:
            DataFormatError: the session is over, or the sequence number is not believable.
            OutOfSpaceError, JournalError: not accepted; append it again later.
        """
        header = frame.header
        recording = self._recording(header.instrument, header.session, header.sample, header.material)
        require_near(header.sequence, recording.last_known, "Sequence number")
        if header.sequence < recording.row.next_sequence:
            return "late" if header.sequence in recording.row.missing else "duplicate"
        if header.stream in recording.held.get(header.sequence, ()):
            return "duplicate"
        if seals_before(header.sequence, recording.held, self._frames_per_shard):
            self._seal(recording)
            return self.append(frame)
        if recording.segment is None:
            recording.segment = SpoolSegment(self.folders.segment(recording.row.id, recording.row.next_index))
        # Sealing needs room for a second copy of the segment.
        needed = recording.segment.size_bytes + 2 * header.nbytes
        require_free_space(self.folders.root, self.min_free_bytes + needed)
        recording.segment.append(frame)
        recording.note(header.sequence, header.stream, simulated=header.simulated)
        return "stored"

    def sync(self) -> None:
        """Make everything appended durable: after this it may be acknowledged.

        Raises:
            OutOfSpaceError, JournalError: frames since the last `sync` are forgotten; append them again.
        """
        for recording in self._recordings.values():
            if recording.segment is not None:
                try:
                    recording.segment.sync()
                except EucentricError:
                    recording.recount()
                    raise

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
        self._finish(recording)

    def tidy(self) -> None:
        """When nothing arrives: finish sessions that are over, seal shards that are full and complete.

        Raises:
            OutOfSpaceError, JournalError: call it again later.
        """
        for recording in list(self._recordings.values()):
            if recording.row.state == "closing":
                self._finish(recording)
            elif seals_when_idle(
                recording.held,
                self._frames_per_shard,
                session_streams=recording.streams,
                acquisitions=recording.row.next_sequence + len(recording.held),
            ):
                self._seal(recording)

    @property
    def open_sessions(self) -> int:
        """Number of sessions that are not finished."""
        return len(self._recordings)

    @property
    def shards_sealed(self) -> int:
        """Number of shards ever sealed in this folder."""
        return sum(shards for shards, _ in self.ledger.backlog().values())

    def close(self) -> None:
        """Close the files. What is in the spool stays there and is found at the next start."""
        for recording in self._recordings.values():
            if recording.segment is not None:
                recording.segment.close()
        self.ledger.close()

    def _recording(
        self, instrument: str, session: str, sample: str | None, material: str | None
    ) -> Recording:
        known = self._recordings.get((instrument, session))
        if known is None:
            known = Recording(self.ledger.open_session(instrument, session, sample=sample, material=material))
        if known.row.state != "open":
            raise DataFormatError(
                f"Session {session} of {instrument} is over.",
                safe="its data set is complete and unchanged.",
                next_step="start a session under a new name.",
            )
        return self._recordings.setdefault((instrument, session), known)

    def _finish(self, recording: Recording) -> None:
        self._seal(recording)
        if (left := recording.take_segment()) is not None:
            self._part_with(left)
        row = recording.row
        missing = missing_between(row.next_sequence, row.expected_frames or 0, ())
        manifest = self.ledger.close_session(row, missing)
        del self._recordings[(row.instrument, row.session)]
        _log.info(
            "data set %s closed: %d frames in %d shards, %d missing",
            manifest.dataset_id,
            manifest.frames,
            len(manifest.shards),
            len(manifest.missing_sequences),
        )

    def _part_with(self, segment: SpoolSegment) -> None:
        """Dispose of a segment that holds no readable frame."""
        if segment.size_bytes == 0:
            segment.remove()
            return
        segment.close()
        with disk_errors("setting a damaged segment aside"):
            self.folders.set_aside(segment.path, "no record of this segment is intact")

    def _seal(self, recording: Recording) -> None:
        if recording.segment is None or not recording.held:
            return
        row = recording.row
        shard = self._build(recording, recording.segment)
        missing = missing_between(row.next_sequence, shard.last_sequence, recording.held)
        recording.row = self.ledger.record_shard(row, shard, missing)
        segment = recording.take_segment()
        if segment is not None:
            segment.remove()
        _log.info("shard %s sealed: %d frames, %d bytes", shard.file_name, shard.frames, shard.size_bytes)

    def _build(self, recording: Recording, segment: SpoolSegment) -> Shard:
        row, building = recording.row, self.folders.building
        with disk_errors("sealing a shard"):
            write_shard(building, segment.frames(), software=self._software)
            shard = Shard(
                instrument=row.instrument,
                session=row.session,
                index=row.next_index,
                first_sequence=min(recording.held),
                last_sequence=max(recording.held),
                frames=len(recording.held),
                streams=recording.held_streams,
                sha256=sha256_file(building),
                size_bytes=building.stat().st_size,
                sealed_utc=utc_now(),
                simulated=recording.simulated,
                sample=row.sample,
                material=row.material,
            )
            building.replace(self.folders.shards / shard.file_name)
            fsync_directory(self.folders.shards)
            # Set aside by a recovery after a crash at this very point; here it is again.
            (self.folders.quarantine / shard.file_name).unlink(missing_ok=True)
        return shard


def open_journal(settings: Settings) -> Journal:
    """The journal of this machine's agent, in `<home>/agent/recording`; recovers what a crash left."""
    return Journal(
        settings.home / "agent" / "recording",
        frames_per_shard=settings.agent.frames_per_shard,
        min_free_bytes=settings.agent.min_free_bytes,
    )
