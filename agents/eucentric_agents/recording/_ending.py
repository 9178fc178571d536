"""Shards that take no more frames, and sessions that are over: sealed in their order, then closed."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from functools import partial

from eucentric_core import DatasetManifest

from ._ledger import Ledger
from ._recording import GrowingShard, Recording
from ._room import Room
from ._rules import missing_between
from ._sealer import Sealer, SealJob
from ._steps import reached

__all__ = ["Ending"]

_log = logging.getLogger(__name__)


class Ending:
    """Hands full shards to the sealer, and closes sessions that are sealed. For the thread that records.

    Args:
        recordings: unfinished sessions; those that are closed are taken out.
        ledger: where sessions are closed.
        sealer: the thread that seals.
        room: made when the ledger has none.
    """

    def __init__(
        self,
        recordings: MutableMapping[tuple[str, str], Recording],
        ledger: Ledger,
        sealer: Sealer,
        room: Room,
    ) -> None:
        self._recordings = recordings
        self._ledger = ledger
        self._sealer = sealer
        self._room = room

    def hand_over(self, recording: Recording) -> None:
        """Give shards that are full and durable to the sealer, in order."""
        while recording.growing and recording.growing[0].settled:
            shard = recording.growing[0]
            if shard.segment.broken:
                return
            if shard.held:
                self._sealer.submit(self._job(recording, shard))
            else:
                shard.segment.discard()
            del recording.growing[0]

    def close_sealed(self) -> None:
        """Close sessions that are over and all sealed: their manifests go into the outbox.

        Raises:
            OutOfSpaceError, JournalError: the ledger's disk failed; again later.
        """
        for key, recording in list(self._recordings.items()):
            row = recording.row
            if row.state != "closing" or recording.growing or self._sealer.holds(row.id):
                continue
            manifest = self._room.again(partial(self._close, recording))
            del self._recordings[key]
            reached("session.closed")
            _log.info(
                "data set %s closed: %d frames in %d shards, %d missing",
                manifest.dataset_id,
                manifest.frames,
                len(manifest.shards),
                len(manifest.missing_sequences),
            )

    def _close(self, recording: Recording) -> DatasetManifest:
        missing = missing_between(recording.sealed_below, recording.row.expected_frames or 0, ())
        return self._ledger.close_session(recording.row, missing)

    def _job(self, recording: Recording, shard: GrowingShard) -> SealJob:
        missing = missing_between(recording.sealed_below, max(shard.held), shard.held)
        recording.sealed_below = max(shard.held) + 1
        recording.sealed.add(shard.held)
        return SealJob(
            recording.row.id,
            shard.index,
            shard.segment,
            shard.held,
            missing,
            shard.simulated,
            shard.segment.shard_bytes,
        )
