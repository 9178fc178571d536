"""Parsl's HighThroughputExecutor as a backend, over whatever starts its workers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ._compute import Backend
from ._errors import no_worker
from ._parsl_hopeless import HopelessError
from ._parsl_kernels import Kernels
from ._parsl_pool import Pool

__all__ = ["running_kernel", "wait_for_workers"]

_POLL_S = 0.05


@contextmanager
def running_kernel(
    pool: Pool, run_dir: Path, waiting: Callable[[], str | None]
) -> Iterator[tuple[Kernels, Backend]]:
    """Start Parsl; at the end its blocks are cancelled and its own processes are gone."""
    from parsl.executors.errors import BadStateException
    from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

    # Parsl tells every change of state of every task at INFO.
    logging.getLogger("parsl").setLevel(logging.WARNING)
    kernels = Kernels(pool, run_dir)
    lost = (WorkerLost, ManagerLost, BadStateException, HopelessError)
    try:
        kernels.start()
        yield kernels, Backend(kernels.submit, lost, kernels.broken, waiting)
    finally:
        kernels.close()


def wait_for_workers(kernels: Kernels, run_dir: Path, timeout_s: float) -> None:
    """Wait until the first workers are there.

    Raises:
        ServiceUnavailableError: none came in time, or none will; names the log.
    """
    deadline = time.monotonic() + timeout_s
    while not _some_came(kernels):
        if (broken := kernels.broken()) is not None:
            raise broken
        if time.monotonic() > deadline:
            raise no_worker(f"none within {timeout_s:g} s", run_dir)
        time.sleep(_POLL_S)


def _some_came(kernels: Kernels) -> bool:
    from parsl.executors.high_throughput.errors import CommandClientBadError, CommandClientTimeoutError

    kernels.renew()
    try:
        return bool(kernels.workers.connected_managers())
    except (CommandClientBadError, CommandClientTimeoutError):
        return False
