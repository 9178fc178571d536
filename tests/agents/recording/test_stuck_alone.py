"""A shard that fails for a reason of its own while nothing else is sent is not tried for ever."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from eucentric_agents.recording import Shipper
from eucentric_core import EucentricError, Frame, TransferFailedError
from eucentric_transfer import Outgoing, PosixMover, RemoteFile

MakeFrame = Callable[..., Frame]


class Refusing(PosixMover):
    """A far end that answers, and takes nothing."""

    refuses = True

    def put_many(self, files: Sequence[Outgoing]) -> tuple[RemoteFile | EucentricError, ...]:
        """Refuse each file, or take all."""
        if not self.refuses:
            return super().put_many(files)
        return tuple(TransferFailedError("403 Forbidden.", safe="kept.", next_step="wait.") for _ in files)


def test_it_is_stuck_with_its_reason_after_a_declared_number_of_tries_and_can_be_sent_again(
    site: Any, make_frame: MakeFrame
) -> None:
    journal = site.open_journal()
    journal.append(make_frame(0))
    journal.stop_session("twin", "s1", frames=1)
    mover = Refusing(site.folders.root)
    shipper = Shipper(journal, mover, publish=site.events.append, max_failures_alone=7)
    for _ in range(7):
        assert shipper.stuck() == ()
        with suppress(TransferFailedError):
            shipper.ship_once()
    stuck = shipper.stuck()
    assert {entry.kind for entry in stuck} == {"shard", "dataset"}
    assert all(entry.failures == 7 and entry.error and "403" in entry.error.what for entry in stuck)
    (shard,) = journal.folders.shards.glob("*.h5")
    mover.refuses = False
    assert shard.name in shipper.retry_stuck()
    site.settle(journal)
    assert shipper.stuck() == ()
    assert list(journal.folders.shards.glob("*.h5")) == []
    journal.close()
