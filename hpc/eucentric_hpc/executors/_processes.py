"""`processes`: Python's own pool, made anew when a worker that dies has taken it down."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any

from eucentric_core import HpcSettings

from ._compute import Backend, ComputeExecutor, computing
from ._environment import worker_environment
from ._task import Call, Outcome

__all__ = ["processes"]

_JOIN_S = 5.0


@contextmanager
def processes(settings: HpcSettings, run_dir: Path) -> Iterator[ComputeExecutor]:
    """See `open_executor`."""
    pool = _LastingPool(settings.workers, run_dir / "workers.stderr")
    try:
        with computing(Backend(pool.submit, (BrokenExecutor,)), settings, run_dir) as compute:
            yield compute
    finally:
        pool.end()


class _LastingPool:
    """A pool breaks for good when one worker dies; whoever submits next gets a new one."""

    def __init__(self, workers: int, log: Path) -> None:
        self._workers = workers
        self._log = log
        self._lock = threading.Lock()
        self._ended = False
        self._context, self._pool = self._new()

    def submit(self, run: Callable[[Call], Outcome], call: Call) -> Future[Outcome]:
        with self._lock:
            try:
                return self._pool.submit(run, call)
            except BrokenExecutor:
                if self._ended:
                    raise
                self._context.end_all()
                self._context, self._pool = self._new()
                return self._pool.submit(run, call)

    def end(self) -> None:
        with self._lock:
            self._ended = True
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._context.end_all()

    def _new(self) -> tuple[_RememberingContext, ProcessPoolExecutor]:
        context = _RememberingContext()
        pool = ProcessPoolExecutor(
            self._workers,
            mp_context=context,
            initializer=_prepare_worker,
            initargs=(worker_environment(self._workers), str(self._log)),
        )
        return context, pool


class _RememberingContext(SpawnContext):
    """Spawns processes and remembers them: a pool closes, but cannot stop a task that is running."""

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[SpawnProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        process = SpawnProcess(*args, **kwargs)
        self.spawned.append(process)
        return process

    def end_all(self) -> None:
        """End every process that was started, also one that is in the middle of a task."""
        started = [process for process in self.spawned if process.pid is not None]
        for process in started:
            process.terminate()
        for process in started:
            process.join(_JOIN_S)
            if process.is_alive():
                process.kill()
                process.join(_JOIN_S)


def _prepare_worker(environment: Mapping[str, str], log: str) -> None:
    os.environ.update(environment)
    sys.dont_write_bytecode = False
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, sys.stderr.fileno() if sys.stderr is not None else 2)
    os.close(descriptor)
    faulthandler.enable()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A worker of a killed parent would wait for its next task for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
