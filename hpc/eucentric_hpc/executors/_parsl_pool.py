"""What Parsl's workers run on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Pool"]


@dataclass(frozen=True, slots=True)
class Pool:
    """What differs between Parsl on one machine and on a cluster.

    Attributes:
        provider: Parsl's provider, which starts blocks of workers.
        workers_per_node: tasks at a time on a node.
        gpus_per_node: each worker gets one.
        address: where workers reach this machine; None: by each of its addresses in turn.
        python: interpreter of the workers.
        container: words of a command that runs what follows it.
        grace_s: how long workers have for their checkpoints once the job is told to stop.
        heartbeat_s: time between two signs of life.
        blocks_at_once: that run side by side, at most.
        keeps_a_block: one that ended before a worker came is replaced also while no task waits.
        too_late: says that waiting for a block is over, None while it is not.
    """

    provider: Any
    workers_per_node: int
    grace_s: float
    gpus_per_node: int = 0
    address: str | None = None
    python: str = sys.executable
    container: Sequence[str] = ()
    heartbeat_s: int = 2
    blocks_at_once: int = 1
    keeps_a_block: bool = False
    too_late: Callable[[], str | None] = lambda: None
