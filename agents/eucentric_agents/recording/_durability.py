"""Making durable what was taken into open shards, and building anew what failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from eucentric_core import EucentricError, Frame

from ._commit import Commit, Committer
from ._errors import JournalError, disk_errors
from ._folders import Folders, SegmentName
from ._packing import AsPublished, CompressionPolicy, Packer, storage_of
from ._quarantine import Quarantine
from ._rebuild import rebuild
from ._recording import GrowingShard, Recording
from ._salvage import Salvage
from ._segment import Segment, is_inline

__all__ = ["Durability", "Recordings"]

Recordings = Mapping[tuple[str, str], Recording]
"""Unfinished sessions by instrument and name."""

_MOST_WAITING_BYTES = 64 << 20
"""What may be taken before it is written, though nobody has asked for it to be durable."""


class Durability:
    """Takes frames into segments and commits them. For the thread that records, but for `rebuild`.

    Args:
        recordings: whose shards; may change.
        folders: of the journal.
        quarantine: for what is damaged.
        software: writer of the shards.
        compression: which chunks are compressed.
        most_packing_bytes: being compressed, or waiting for it, before `auto` leaves some as they are.
    """

    def __init__(
        self,
        recordings: Recordings,
        folders: Folders,
        quarantine: Quarantine,
        *,
        software: str,
        compression: CompressionPolicy,
        most_packing_bytes: int,
    ) -> None:
        self._recordings = recordings
        self._folders = folders
        self._quarantine = quarantine
        self._software = software
        self._compression = storage_of(compression)
        self._packer = Packer(compression, most_packing_bytes=most_packing_bytes)
        self._committer = Committer()
        self._unreported: list[Commit] = []
        self._waiting_bytes = 0

    def open_segment(self, name: SegmentName) -> Segment:
        """A new segment.

        Raises:
            OutOfSpaceError, JournalError: the disk failed.
        """
        return Segment(self._folders, name, software=self._software, compression=self._compression)

    def take(self, segment: Segment, frame: Frame, published: AsPublished) -> None:
        """Take a frame, with what its source has made of it; it is durable after the next commit.

        Raises:
            OutOfSpaceError, JournalError: frames before it failed; it is taken.
        """
        segment.append(frame, None if is_inline(frame.header) else self._packer.submit(frame, published))
        self._waiting_bytes += frame.header.nbytes
        if self._waiting_bytes >= _MOST_WAITING_BYTES:
            self._unreported.append(self._submit(list(self._growing())))
            for commit in self._unreported[:-1]:
                commit.wait()

    def begin(self) -> Commit:
        """Begin to make everything that was taken durable, beside what is taken next.

        Raises:
            JournalError: something failed before; call `sync`.
        """
        self.refuse_broken()
        before, self._unreported = self._unreported, []
        return self._submit(list(self._growing())).after(before)

    def sync(self) -> None:
        """Make everything that was taken durable.

        Raises:
            OutOfSpaceError, JournalError: frames that were not durable before are perhaps forgotten;
                what failed is built anew, and takes them again.
        """
        if (error := self._repair()) is not None:
            raise error
        commit = self.begin()
        try:
            commit.wait()
        except EucentricError:
            self._repair()
            raise
        # What was in flight before this commit is decided now, too, and may have failed.
        if (error := self._repair()) is not None:
            raise error

    def refuse_broken(self) -> None:
        """Take nothing more while something has to be built anew.

        Raises:
            JournalError: it has to.
        """
        if any(shard.segment.broken for shard in self._growing()):
            raise JournalError(
                "Frames could not be made durable.",
                safe="none of them was acknowledged.",
                next_step="they are recorded again by themselves.",
            )

    def rebuild(self, salvage: Salvage, old: Segment) -> Segment:
        """A segment from what its journal vouches for. Any thread.

        Raises:
            OutOfSpaceError, JournalError: the disk failed; the old one counts on.
        """
        return rebuild(
            salvage,
            old.name._replace(generation=old.name.generation + 1),
            folders=self._folders,
            quarantine=self._quarantine,
            software=self._software,
            compression=self._compression,
        )

    @property
    def frames_hurried(self) -> int:
        """Frames stored as they are because compressing them would have been late."""
        return self._packer.frames_hurried

    def is_busy(self) -> bool:
        """Whether frames are on their way to the disk. Any thread may ask."""
        return self._committer.is_busy

    def growing_bytes(self) -> int:
        """Length of all shards that are not being sealed."""
        return sum(shard.segment.shard_bytes for shard in self._growing())

    def close(self) -> None:
        """End when everything is decided."""
        self._packer.dispatch()
        self._packer.close()
        self._committer.close()

    def _growing(self) -> Iterator[GrowingShard]:
        # A status may be asked for by another thread meanwhile.
        for recording in list(self._recordings.values()):
            yield from list(recording.growing)

    def _submit(self, shards: list[GrowingShard]) -> Commit:
        self._packer.dispatch()
        self._waiting_bytes = 0
        batches = [(shard.segment, shard.segment.take_batch()) for shard in shards]
        return self._committer.submit([(segment, batch) for segment, batch in batches if batch])

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
                shard.replace(self.rebuild(salvage, shard.segment))
        return error or JournalError(
            "Frames could not be made durable before.",
            safe="none of them was acknowledged; everything else is recorded.",
            next_step="they are recorded again by themselves.",
        )
