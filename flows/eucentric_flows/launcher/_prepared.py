"""A process that stands by: forked, with its workers, before there is a flow run for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

__all__ = ["Prepared", "prepared"]

_END_S = 10.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A process that waits for its flow run. It ends by itself once nobody can give it one any more."""

    process: BaseProcess
    orders: Connection

    def give(self, flow: str, flow_run_id: str, log: str) -> bool:
        """Hand a flow run over, once. Returns whether the process is alive to take it."""
        try:
            self.orders.send((flow, flow_run_id, log))
        except OSError:
            return False
        finally:
            self.orders.close()
        return self.process.is_alive()

    async def dismiss(self) -> None:
        """It is not needed; returns once it has ended, after 10 s by force."""
        self.orders.close()
        await asyncio.to_thread(self.process.join, _END_S)
        if self.process.is_alive():
            self.process.kill()
            await asyncio.to_thread(self.process.join)


async def prepared(context: ForkServerContext, *, computes: bool) -> Prepared:
    """Start one.

    Args:
        context: that forks from a process which has imported everything.
        computes: whether it forks workers.
    """
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_stand_by, args=(receiving, computes), daemon=False)
    try:
        await asyncio.to_thread(process.start)
    finally:
        # Its own end is open in the process; a second one here would keep it waiting for ever.
        receiving.close()
    return Prepared(process, sending)


def _stand_by(orders: Connection, computes: bool) -> None:
    # Imported there, where it is long since: in the service it would hold the first flow run up for seconds.
    from ._process import stand_by

    stand_by(orders, computes=computes)
