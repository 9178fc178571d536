"""`processes`: Python's own pool, made anew when a worker that dies has taken it down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from pathlib import Path

from eucentric_core import HpcSettings

from ._compute import Backend, ComputeExecutor, computing
from ._forked import take_forked
from ._pools import spawned_pool
from ._task import Call, Outcome

__all__ = ["processes"]


@contextmanager
def processes(settings: HpcSettings, run_dir: Path) -> Iterator[ComputeExecutor]:
    """See `open_executor`."""
    pool = _LastingPool(settings.workers, run_dir)
    try:
        with computing(Backend(pool.submit, (BrokenExecutor,)), settings, run_dir) as compute:
            yield compute
    finally:
        pool.end()


class _LastingPool:
    """A pool breaks for good when one worker dies; whoever submits next gets a new one."""

    def __init__(self, workers: int, run_dir: Path) -> None:
        self._workers = workers
        self._log = run_dir / "workers.stderr"
        self._lock = threading.Lock()
        self._ended = False
        self._pool = take_forked(workers, run_dir) or spawned_pool(workers, self._log)

    def submit(self, run: Callable[[Call], Outcome], call: Call) -> Future[Outcome]:
        with self._lock:
            try:
                return self._pool.pool.submit(run, call)
            except BrokenExecutor:
                if self._ended:
                    raise
                self._pool.end()
                self._pool = spawned_pool(self._workers, self._log)
                return self._pool.pool.submit(run, call)

    def end(self) -> None:
        with self._lock:
            self._ended = True
            self._pool.end()
