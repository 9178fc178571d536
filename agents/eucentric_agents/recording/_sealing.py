"""From a segment to a sealed shard: closed, hashed, announced, named by its hash, recorded in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable

from eucentric_core import OutOfSpaceError, Shard, sha256_file

from ._errors import JournalError, disk_errors
from ._folders import Folders
from ._interrupted import complete_seal, describe_shard, give_name, seal_in_place
from ._ledger import Ledger, SessionRow
from ._salvage import Salvage
from ._sealer import SealJob
from ._segment import Segment
from ._steps import reached

__all__ = ["ShardSealing"]

_log = logging.getLogger(__name__)


class ShardSealing:
    """Does the work of the sealing thread.

    Args:
        folders: of the journal.
        ledger: where sealed shards are recorded.
        rebuild: a segment from what its journal vouches for, after something failed.
        make_room: lets go of so many bytes that are not needed here; whether there were any.
    """

    def __init__(
        self,
        folders: Folders,
        ledger: Ledger,
        rebuild: Callable[[Salvage, Segment], Segment],
        make_room: Callable[[int], bool],
    ) -> None:
        self._folders = folders
        self._ledger = ledger
        self._rebuild = rebuild
        self._make_room = make_room

    def __call__(self, job: SealJob) -> None:
        """Seal a shard; after a failure, again from its journal.

        Raises:
            OutOfSpaceError, JournalError: the disk failed; nothing is lost, call again.
        """
        try:
            self._seal(job)
        except OutOfSpaceError:
            if not self._make_room(2 * job.segment.shard_bytes):
                raise
            job.attempts += 1
            self._seal(job)

    def _seal(self, job: SealJob) -> None:
        if job.attempts and self._done_after_all(job):
            return
        shard = self._close(job)
        segment = job.segment
        segment.announce(shard, job.missing)
        reached("seal.announced")
        with disk_errors("naming a sealed shard"):
            give_name(segment.shard_path, self._folders.shards / shard.file_name)
        reached("seal.renamed")
        self._ledger.record_shard(job.session_id, shard, job.missing)
        reached("seal.recorded")
        segment.discard()
        reached("seal.done")
        _log.info("shard %s sealed: %d frames, %d bytes", shard.file_name, shard.frames, shard.size_bytes)

    def _done_after_all(self, job: SealJob) -> bool:
        """After a failure: finish what was announced, or start again with what is intact, if anything is."""
        job.segment.close()
        with disk_errors("sealing a shard"):
            salvage = Salvage(job.segment.journal_path, job.segment.shard_path)
            if complete_seal(salvage, job.session_id, self._folders, self._ledger):
                return True
            if seal_in_place(salvage, job.index, self._session(job), self._folders, self._ledger):
                return True
            job.segment = self._rebuild(salvage, job.segment)
        held: dict[int, set[str]] = {}
        for sequence, stream in job.segment.durable:
            held.setdefault(sequence, set()).add(stream)
        job.missing = tuple(sorted({*job.missing, *(job.held.keys() - held.keys())}))
        if not held:
            _log.error("nothing in segment %s is intact: its acquisitions are missing", job.segment.name)
            self._ledger.record_gap(job.session_id, job.index, max(job.held), job.missing)
            job.segment.discard()
            return True
        job.held = held
        return False

    def _close(self, job: SealJob) -> Shard:
        row = self._session(job)
        reached("seal.begun")
        with disk_errors("sealing a shard"):
            job.segment.builder.close()
            reached("seal.closed")
            job.segment.note_closed(job.missing)
            reached("seal.vouched")
            path = job.segment.shard_path
            return describe_shard(
                row,
                job.index,
                job.held,
                simulated=job.simulated,
                sha256=sha256_file(path),
                size_bytes=path.stat().st_size,
            )

    def _session(self, job: SealJob) -> SessionRow:
        row = self._ledger.session(job.session_id)
        if row is None:
            raise JournalError(
                f"The ledger knows no session {job.session_id}.",
                safe="the segment is kept.",
                next_step="keep the folder and start with a new one.",
            )
        return row
