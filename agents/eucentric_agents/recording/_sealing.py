"""From a segment to a sealed shard: closed, hashed, announced, named by its hash, recorded in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable

from eucentric_core import Shard, fsync_directory, sha256_file, utc_now

from ._errors import JournalError, disk_errors
from ._folders import Folders
from ._ledger import Ledger
from ._recovery import complete_seal
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
    """

    def __init__(
        self, folders: Folders, ledger: Ledger, rebuild: Callable[[Salvage, Segment], Segment]
    ) -> None:
        self._folders = folders
        self._ledger = ledger
        self._rebuild = rebuild

    def __call__(self, job: SealJob) -> None:
        """Seal a shard; after a failure, again from its journal.

        Raises:
            OutOfSpaceError, JournalError: the disk failed; nothing is lost, call again.
        """
        if job.attempts:
            job.segment.close()
            salvage = Salvage(job.segment.journal_path, job.segment.shard_path)
            with disk_errors("sealing a shard"):
                if complete_seal(salvage, job.session_id, self._folders, self._ledger):
                    return
            job.segment = self._rebuild(salvage, job.segment)
        shard = self._close(job)
        segment = job.segment
        segment.announce(shard, job.missing)
        reached("seal.announced")
        with disk_errors("naming a sealed shard"):
            segment.shard_path.replace(self._folders.shards / shard.file_name)
            fsync_directory(self._folders.shards)
        reached("seal.renamed")
        self._ledger.record_shard(job.session_id, shard, job.missing)
        reached("seal.recorded")
        segment.discard()
        reached("seal.done")
        _log.info("shard %s sealed: %d frames, %d bytes", shard.file_name, shard.frames, shard.size_bytes)

    def _close(self, job: SealJob) -> Shard:
        row = self._ledger.session(job.session_id)
        if row is None:
            raise JournalError(
                f"The ledger knows no session {job.session_id}.",
                safe="the segment is kept.",
                next_step="keep the folder and start with a new one.",
            )
        reached("seal.begun")
        with disk_errors("sealing a shard"):
            job.segment.builder.close()
            reached("seal.closed")
            path = job.segment.shard_path
            return Shard(
                instrument=row.instrument,
                session=row.session,
                index=job.index,
                first_sequence=min(job.held),
                last_sequence=max(job.held),
                frames=len(job.held),
                streams=tuple(sorted(set().union(*job.held.values()))),
                sha256=sha256_file(path),
                size_bytes=path.stat().st_size,
                sealed_utc=utc_now(),
                simulated=job.simulated,
                sample=row.sample,
                material=row.material,
            )
