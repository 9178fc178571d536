"""`parsl-local`: Parsl on this machine's own processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from eucentric_core import HpcSettings

from ._compute import ComputeExecutor, computing
from ._environment import site_lines, worker_environment
from ._parsl import running_kernel, wait_for_workers
from ._parsl_pool import Pool

__all__ = ["parsl_local"]

_END_S = 10.0


@contextmanager
def parsl_local(settings: HpcSettings, run_dir: Path) -> Iterator[ComputeExecutor]:
    """See `open_executor`."""
    from parsl.launchers import SimpleLauncher
    from parsl.providers import LocalProvider

    provider = LocalProvider(  # type: ignore[no-untyped-call]
        init_blocks=1,
        min_blocks=1,
        max_blocks=1,
        launcher=SimpleLauncher(),
        worker_init=site_lines(None, worker_environment(settings.workers)),
    )
    pool = Pool(provider, settings.workers, settings.grace_s, address="127.0.0.1", keeps_a_block=True)
    try:
        with running_kernel(pool, run_dir, lambda: None) as (kernels, backend):
            wait_for_workers(kernels, run_dir, settings.start_timeout_s)
            with computing(backend, settings, run_dir) as compute:
                yield compute
    finally:
        _wait_for_end([int(job["remote_pid"]) for job in provider.resources.values()], settings.grace_s)


def _wait_for_end(pids: list[int], grace_s: float) -> None:
    """Blocks are no children of this process, so nobody else waits for them."""
    blocks = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    family = [process for block in blocks for process in (block, *_children(block))]
    _, late = psutil.wait_procs(
        [process for process in family if process.pid != os.getpid()], grace_s + _END_S
    )
    for process in late:
        process.kill()


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []
