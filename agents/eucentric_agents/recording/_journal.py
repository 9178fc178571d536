"""The journal: frames become durable, shards are sealed, nothing acknowledged is lost or doubled.

A frame's way: compressed, written once into the open shard (`open/*.h5`) -> flushed -> its record in the
segment's journal (`open/*.journal`) flushed; from here on it may be acknowledged -> the shard is closed,
hashed and announced in that journal -> its content-addressed name -> one transaction that advances the
session and puts the shard into the outbox -> the segment's journal is removed. A crash between any two
steps leaves either the segment or the committed shard as the truth, never neither. A shard that was never
closed is not believed: its chunks are copied by the offsets and checksums in the journal.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from eucentric_core import DataFormatError, Frame, SessionStarted

from ._aside import Aside
from ._commit import Commit
from ._durability import Durability
from ._ending import Ending
from ._errors import disk_errors
from ._folders import Folders
from ._intake import Accepted, FrameIntake
from ._ledger import Ledger
from ._local_copies import LocalCopies
from ._origin import Origin
from ._packing import MOST_PACKING_BYTES, AsPublished, CompressionPolicy, storage_of
from ._poison import Poison, PoisonKind
from ._quarantine import Quarantine
from ._recovery import Recovery, RecoveryReport
from ._room import RESERVE_BYTES, Room
from ._rules import require_near, seals_when_idle
from ._sealer import Sealer
from ._sealing import ShardSealing
from ._sessions import Sessions
from ._spool_v1 import take_in_old_spools
from ._steps import reached

__all__ = ["Accepted", "Journal"]

_MAX_UNSEALED_BYTES = 4 << 30


class Journal:
    """Makes frames durable. One process per folder; one thread records, others may use the ledger.

    Args:
        folder: made if missing; holds `journal.sqlite` and its chronicle, `open/`, `shards/`, `quarantine/`.
        frames_per_shard: acquisitions per shard.
        min_free_bytes: with less room than this on the disk nothing is accepted; may be changed any time.
        compression: which chunks are compressed.
        keep_receipted_bytes: how much may stay here of what the repository has.
        max_quarantine_bytes: with more in quarantine, a further frame for it pauses the recording.
        max_unsealed_bytes: how much may be durable and wait to be sealed; with more, sealing is waited for.
            As much is copied by the start that follows a crash.
        most_packing_bytes: being compressed, or waiting for it, before `auto` leaves some as they are.

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
        compression: CompressionPolicy = "blosc2-lz4",
        keep_receipted_bytes: int = 0,
        max_quarantine_bytes: int = 4 << 30,
        max_unsealed_bytes: int = _MAX_UNSEALED_BYTES,
        most_packing_bytes: int = MOST_PACKING_BYTES,
    ) -> None:
        self.folders = Folders(folder)
        self._frames_per_shard = frames_per_shard
        software = f"eucentric {version('eucentric')}"
        self.quarantine = Quarantine(self.folders.quarantine, max_quarantine_bytes)
        self.ledger = Ledger(self.folders.database, self.quarantine.take)
        self.local_copies = LocalCopies(self.folders, self.ledger, keep_bytes=keep_receipted_bytes)
        try:
            with disk_errors("recovering the journal"):
                recovery = Recovery(
                    self.folders,
                    self.ledger,
                    self.quarantine,
                    software=software,
                    compression=storage_of(compression),
                )
        except BaseException:
            self.ledger.close()
            raise
        self._recordings = {(r.row.instrument, r.row.session): r for r in recovery.recordings}
        self._room = Room(self.folders.root, self.local_copies, min_free_bytes)
        self._aside = Aside(self.quarantine, self.ledger, self._room)
        self._durability = Durability(
            self._recordings,
            self.folders,
            self.quarantine,
            software=software,
            compression=compression,
            most_packing_bytes=most_packing_bytes,
        )
        rebuild, let_go = self._durability.rebuild, self.local_copies.let_go
        self._sealer = Sealer(
            ShardSealing(self.folders, self.ledger, rebuild, let_go),
            is_busy=self._durability.is_busy,
            patience_bytes=max_unsealed_bytes // 2,
        )
        self._ending = Ending(self._recordings, self.ledger, self._sealer, self._room)
        self._sessions = Sessions(
            self._recordings,
            self.ledger,
            self._durability,
            self._sealer,
            self._room,
            max_unsealed_bytes=max_unsealed_bytes,
        )
        self._intake = FrameIntake(
            self._sessions,
            self._durability,
            self._ending,
            self._aside,
            self._room,
            frames_per_shard=frames_per_shard,
        )
        try:
            self.recovery = self._with_old_spools(recovery.report)
        except BaseException:
            self.close()
            raise

    @property
    def min_free_bytes(self) -> int:
        """With less room than this on the disk nothing is accepted."""
        return self._room.min_free_bytes

    @min_free_bytes.setter
    def min_free_bytes(self, n_bytes: int) -> None:
        self._room.min_free_bytes = n_bytes

    @property
    def last_poison(self) -> Poison | None:
        """Why a frame was set aside last."""
        return self._aside.last_poison

    def start_session(self, event: SessionStarted) -> None:
        """Open a session; any other open session of the same instrument is over.

        Raises:
            DataFormatError: a session of this name is already over.
        """
        for recording in self._sessions:
            row = recording.row
            if row.instrument == event.instrument and row.session != event.session:
                self.end_session(row.instrument, row.session, frames=None)
        self._sessions.admit(
            self._sessions.known(event.instrument, event.session, event.sample, event.material)
        )

    def append(
        self, frame: Frame, *, crc32c: int | None = None, header_json: bytes | None = None
    ) -> Accepted:
        """Accept a frame; it is durable after the next `sync`. Appending it again does nothing.

        Args:
            frame: to be recorded.
            crc32c: of its array, where its source has made one: then this vouches for it, as far as it is not
                compressed, and a bit that changes before it is on the disk is noticed, too.
            header_json: the frame's header as its source has written it, where it came as JSON.

        Returns:
            `late` for an acquisition that was given up as missing when a later shard was closed, and for a
            stream that it was closed without;
            `quarantined` for a frame that cannot be part of a data set. Both are set aside, durably.

        Raises:
            DataFormatError: the session is over, or the sequence number is not believable.
            OutOfSpaceError, JournalError: not accepted; `sync`, and append again what is not durable.
        """
        return self._intake.take(frame, AsPublished(crc32c, header_json))

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
        self._intake.set_message_aside(stream, header, payload, error, origin=origin, kind=kind)

    def begin_commit(self) -> Commit:
        """Begin to make everything appended durable, beside what is appended next.

        Raises:
            OutOfSpaceError, JournalError: call `sync`.
        """
        return self._durability.begin()

    def sync(self) -> None:
        """Make everything appended durable: after this it may be acknowledged.

        Raises:
            OutOfSpaceError, JournalError: frames that were not durable before are perhaps forgotten;
                append them again, those that are known are recognised.
        """
        growing_bytes = self._durability.growing_bytes()
        self._room.again(self._durability.sync, 2 * growing_bytes + RESERVE_BYTES)
        for recording in self._sessions:
            self._ending.hand_over(recording)

    def end_session(self, instrument: str, session: str, *, frames: int | None) -> None:
        """End a session: make durable what is open. `tidy` closes it once it is sealed. Again does nothing.

        Args:
            instrument: whose session.
            session: its name.
            frames: how many acquisitions were published, None if unknown (it was abandoned).

        Raises:
            DataFormatError: `frames` is not believable.
            OutOfSpaceError, JournalError: `tidy` will end it if it is marked as over already.
        """
        recording = self._sessions.to_end(instrument, session)
        if recording is None:
            return
        if frames is not None:
            require_near(frames - 1, recording.last_known, "Number of frames")
        self.sync()
        self._sessions.mark_over(recording, frames)
        reached("session.closing")
        self._sessions.give_up_the_rest(recording)
        self.sync()

    def stop_session(self, instrument: str, session: str, *, frames: int | None) -> None:
        """End a session, wait until it is sealed, and put its manifest into the outbox.

        Raises:
            DataFormatError: `frames` is not believable.
            OutOfSpaceError, JournalError: `tidy` will end it if it is marked as over already.
        """
        self.end_session(instrument, session, frames=frames)
        self._sealer.wait()
        self._ending.close_sealed()

    def tend(self) -> None:
        """When nothing arrives: end what is over, seal shards that are full and complete, without waiting.

        Raises:
            OutOfSpaceError, JournalError: something failed since the last call; it is tried again.
        """
        self.sync()
        for recording in self._sessions:
            shard = recording.open
            if recording.row.state == "closing":
                self._sessions.give_up_the_rest(recording)
                self.sync()
            elif shard is not None and seals_when_idle(
                shard.held,
                self._frames_per_shard,
                session_streams=recording.streams,
                acquisitions=recording.next_sequence + len(shard.held),
            ):
                self._sessions.shut(recording, shard)
        self.sync()
        if (error := self._sealer.retry()) is not None:
            raise error
        self._ending.close_sealed()

    def tidy(self) -> None:
        """`tend`, and wait until all is sealed that takes no more frames.

        Raises:
            OutOfSpaceError, JournalError: call it again later.
        """
        self.tend()
        self._sealer.wait()
        self._ending.close_sealed()

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
        return len(self._sessions)

    @property
    def ends_a_session(self) -> bool:
        """Whether a session is over and not closed: `tend` closes it once it is sealed."""
        return any(recording.row.state == "closing" for recording in self._sessions)

    @property
    def shards_sealed(self) -> int:
        """Number of shards ever sealed in this folder."""
        return sum(shards for shards, _ in self.ledger.backlog().values())

    @property
    def shards_unsealed(self) -> int:
        """Number of shards that are open, or full and not sealed yet."""
        return self._sealer.waiting + sum(len(recording.growing) for recording in self._sessions)

    @property
    def frames_hurried(self) -> int:
        """Frames stored as they are because compressing them would have been late, since the start."""
        return self._durability.frames_hurried

    @property
    def unsealed_bytes(self) -> int:
        """Their length."""
        return self._sealer.waiting_bytes + self._durability.growing_bytes()

    def close(self) -> None:
        """Close the files. What is not sealed stays where it is and is found at the next start."""
        self._durability.close()
        self._sealer.close()
        for recording in self._sessions:
            for shard in recording.growing:
                shard.segment.close()
        self.ledger.close()

    def _with_old_spools(self, report: RecoveryReport) -> RecoveryReport:
        sessions = {recording.row.id: recording.row for recording in self._recordings.values()}
        found = take_in_old_spools(
            self.folders.spool, sessions, self.quarantine, self._intake.take_found, self.sync
        )
        return report.model_copy(
            update={
                "frames_recovered": report.frames_recovered + found.frames,
                "torn_segments": report.torn_segments + found.torn,
                "damaged_records": report.damaged_records + found.damaged,
            }
        )
