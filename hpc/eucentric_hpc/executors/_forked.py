"""Workers at once: forked from a process that has imported everything, before it does anything else.

A worker that is spawned imports numpy, SciPy and torch: 2 to 5 s of a core each. One that is forked has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eucentric_core import HpcSettings

from ._pools import WorkerPool, can_fork, forked_pool

__all__ = ["forked_workers", "take_forked"]

_waiting: list[WorkerPool] = []


@contextmanager
def forked_workers(settings: HpcSettings, log: Path) -> Iterator[bool]:
    """Fork workers now; the first executor of this kind that is opened inside the block has them.

    Does nothing where workers of another kind are wanted, or where this process has more than one thread,
    for example on Windows: the executor then starts its workers itself. Yields whether it forked.

    Args:
        settings: which kind of executor, and how many workers.
        log: takes what the workers write as they crash; moves to the folder of the executor.
    """
    if settings.executor != "processes" or not can_fork():
        yield False
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    pool = forked_pool(settings.workers, log)
    _waiting.append(pool)
    try:
        yield True
    finally:
        if pool in _waiting:
            _waiting.remove(pool)
            pool.end()
            log.unlink(missing_ok=True)


def take_forked(workers: int, run_dir: Path) -> WorkerPool | None:
    """A pool of so many workers that waits for an owner; None if there is none. It is given away once.

    Args:
        workers: wanted.
        run_dir: of the executor; the workers' log is moved there.
    """
    for pool in _waiting:
        if pool.workers == workers:
            _waiting.remove(pool)
            if pool.log.exists():
                pool.log.replace(run_dir / pool.log.name)
            return pool
    return None
