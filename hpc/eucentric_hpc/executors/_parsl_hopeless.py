"""When Parsl stops starting blocks of workers: none comes, or none may be waited for any longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._parsl_pool import Pool

if TYPE_CHECKING:
    from parsl.executors.status_handling import BlockProviderExecutor
    from parsl.jobs.states import JobStatus

__all__ = ["GivingUp", "HopelessError"]

_HOPELESS_ROUNDS = 2
"""After so many times all blocks in a row of which no worker came, no more are tried."""


class HopelessError(Exception):
    """No worker will come."""


class GivingUp:
    """Parsl asks it after every look at the blocks, with the status of each."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def __call__(self, workers: BlockProviderExecutor, status: dict[str, JobStatus]) -> None:
        from parsl.executors import HighThroughputExecutor

        if workers.bad_state_is_set:
            return
        if not isinstance(workers, HighThroughputExecutor):
            raise TypeError(f"{type(workers).__name__} does not tell which blocks came up")
        if (late := self._pool.too_late()) is not None:
            workers.set_bad_state_and_fail_all(HopelessError(late))
            return
        barren, connected = [], set(workers.connected_blocks())
        for block in sorted(status, key=int, reverse=True):
            if not status[block].terminal:
                continue
            if block in connected:
                break
            barren.append(status[block])
        if len(barren) >= _HOPELESS_ROUNDS * self._pool.blocks_at_once:
            said = next((block.message for block in barren if block.message), None)
            why = said or f"{len(barren)} in a row ended before a worker came up"
            workers.set_bad_state_and_fail_all(HopelessError(why))
        elif self._pool.keeps_a_block and len(barren) == len(status) > 0 and not workers.outstanding():
            # Parsl starts the first block by itself, and another only where a task waits.
            workers.scale_out_facade(1)
