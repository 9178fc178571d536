"""Python's own pools of processes, which remember their workers and prepare them."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.context import BaseContext, SpawnContext, SpawnProcess
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ._environment import worker_environment

__all__ = ["WorkerPool", "can_fork", "forked_pool", "spawned_pool"]

_JOIN_S = 5.0


@dataclass(frozen=True, slots=True)
class WorkerPool:
    """A pool, and the processes that it has started: a pool closes, but cannot stop a running task.

    Attributes:
        pool: takes tasks.
        workers: at most so many tasks run at a time.
        log: what workers write as they crash.
        started: its processes, also those that have ended.
    """

    pool: ProcessPoolExecutor
    workers: int
    log: Path
    started: list[BaseProcess]

    def end(self) -> None:
        """End every process, also one that is in the middle of a task."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        started = [process for process in self.started if process.pid is not None]
        for process in started:
            process.terminate()
        for process in started:
            process.join(_JOIN_S)
            if process.is_alive():
                process.kill()
                process.join(_JOIN_S)


class _Spawning(SpawnContext):
    """Spawns processes and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[BaseProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        process = SpawnProcess(*args, **kwargs)
        self.started.append(process)
        return process


if sys.platform != "win32":
    from multiprocessing.context import ForkContext, ForkProcess

    class _Forking(ForkContext):
        """Forks processes and remembers them."""

        def __init__(self) -> None:
            super().__init__()
            self.started: list[BaseProcess] = []

        def Process(self, *args: Any, **kwargs: Any) -> ForkProcess:  # type: ignore[override]  # noqa: N802
            process = ForkProcess(*args, **kwargs)
            self.started.append(process)
            return process


def can_fork() -> bool:
    """Whether this process may be forked: only one that has a single thread can be, without harm."""
    return sys.platform != "win32" and threading.active_count() == 1


def spawned_pool(workers: int, log: Path) -> WorkerPool:
    """A pool that starts each worker as an interpreter of its own, when there is something to do.

    Args:
        workers: at most.
        log: takes what they write as they crash.
    """
    context = _Spawning()
    return WorkerPool(_pool(context, workers, str(log)), workers, log, context.started)


def forked_pool(workers: int, log: Path) -> WorkerPool:
    """A pool whose workers are there at once, with all that this process has imported. See `can_fork`."""
    context = _Forking()
    # Opened here: the file may be moved before a worker comes to open it.
    descriptor = _opened(log)
    try:
        pool = _pool(context, workers, descriptor)
        # At its first task it starts all its processes, before it starts threads of its own.
        pool.submit(int)
    finally:
        os.close(descriptor)
    return WorkerPool(pool, workers, log, context.started)


def _pool(context: BaseContext, workers: int, log: str | int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        workers,
        mp_context=context,
        initializer=_prepare_worker,
        initargs=(worker_environment(workers), log),
    )


def _opened(log: Path | str) -> int:
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def _prepare_worker(environment: Mapping[str, str], log: str | int) -> None:
    os.environ.update(environment)
    _limit_threads(environment)
    sys.dont_write_bytecode = False
    descriptor = log if isinstance(log, int) else _opened(log)
    os.dup2(descriptor, sys.stderr.fileno() if sys.stderr is not None else 2)
    os.close(descriptor)
    faulthandler.enable()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _limit_threads(environment: Mapping[str, str]) -> None:
    # Libraries that a forked worker has loaded already do not read the environment again.
    if "numpy" not in sys.modules or "OMP_NUM_THREADS" not in environment:
        return
    from threadpoolctl import threadpool_limits

    share = int(environment["OMP_NUM_THREADS"])
    threadpool_limits(share)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(share)


def _end_with_parent() -> None:
    # A worker of a killed parent would wait for its next task for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
