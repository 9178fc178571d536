"""Parsl's HighThroughputExecutor as a backend, over whatever starts its workers."""

from __future__ import annotations

import logging
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eucentric_core import EucentricError

from ._compute import Backend
from ._errors import no_worker

if TYPE_CHECKING:
    from parsl import DataFlowKernel
    from parsl.executors import HighThroughputExecutor
    from parsl.executors.status_handling import BlockProviderExecutor
    from parsl.jobs.states import JobStatus

__all__ = ["LABEL", "Pool", "running_kernel", "wait_for_workers"]

LABEL = "eucentric"
"""How Parsl calls this executor, and with it every job."""

_HERE = Path(__file__).parent
_POOL = "parsl.executors.high_throughput.process_worker_pool"
_LOST_BEATS = 6
_POLL_S = 0.05


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
        hopeless_blocks: this many blocks in a row of which no worker came, and no more are tried.
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
    hopeless_blocks: int = 1
    too_late: Callable[[], str | None] = lambda: None


@contextmanager
def running_kernel(
    pool: Pool, run_dir: Path, waiting: Callable[[], str | None]
) -> Iterator[tuple[HighThroughputExecutor, DataFlowKernel, Backend]]:
    """Start Parsl; at the end its blocks are cancelled and its own processes are gone."""
    from parsl import Config, DataFlowKernel
    from parsl.concurrent import ParslPoolExecutor
    from parsl.executors import HighThroughputExecutor
    from parsl.executors.errors import BadStateException
    from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

    # Parsl tells every change of state of every task at INFO.
    logging.getLogger("parsl").setLevel(logging.WARNING)
    workers = HighThroughputExecutor(
        label=LABEL,
        address=pool.address,
        encrypted=True,
        max_workers_per_node=pool.workers_per_node,
        cores_per_worker=1e-3,
        available_accelerators=pool.gpus_per_node,
        heartbeat_period=pool.heartbeat_s,
        heartbeat_threshold=_LOST_BEATS * pool.heartbeat_s,
        launch_cmd=_launch_command(pool, run_dir),
        interchange_launch_cmd=[sys.executable, "-P", str(_HERE / "_interchange.py")],
        block_error_handler=_GivingUp(pool, run_dir),
        provider=pool.provider,
    )
    kernel = DataFlowKernel(
        Config(
            executors=[workers],
            run_dir=str(run_dir / "parsl"),
            strategy="simple",
            strategy_period=1,
            # Tasks are tried again by `ComputeExecutor`, the same for every kind.
            retries=0,
            usage_tracking=0,
            initialize_logging=False,
        )
    )

    def broken() -> EucentricError | None:
        if not workers.bad_state_is_set:
            return None
        return no_worker(str(workers.executor_exception), run_dir)

    tasks = ParslPoolExecutor(dfk=kernel)
    lost = (WorkerLost, ManagerLost, BadStateException, _HopelessError)
    try:
        yield workers, kernel, Backend(tasks.submit, lost, broken, waiting)
    finally:
        kernel.cleanup()


class _HopelessError(Exception):
    """No worker will come."""


class _GivingUp:
    """Parsl asks it after every look at the blocks, with the status of each."""

    def __init__(self, pool: Pool, run_dir: Path) -> None:
        self._pool = pool
        self._run_dir = run_dir

    def __call__(self, workers: BlockProviderExecutor, status: dict[str, JobStatus]) -> None:
        from parsl.executors import HighThroughputExecutor

        if not isinstance(workers, HighThroughputExecutor):
            raise TypeError(f"{type(workers).__name__} does not tell which blocks came up")
        if (late := self._pool.too_late()) is not None:
            workers.set_bad_state_and_fail_all(_HopelessError(late))
            return
        barren, connected = [], set(workers.connected_blocks())
        for block in sorted(status, key=int, reverse=True):
            if not status[block].terminal:
                continue
            if block in connected:
                break
            barren.append(status[block])
        if len(barren) >= self._pool.hopeless_blocks:
            said = next((block.message for block in barren if block.message), None)
            why = said or f"{len(barren)} in a row ended before a worker came up"
            workers.set_bad_state_and_fail_all(_HopelessError(why))


def wait_for_workers(workers: HighThroughputExecutor, run_dir: Path, timeout_s: float) -> None:
    """Wait until the first workers are there.

    Raises:
        ServiceUnavailableError: none came in time, or none will; names the log.
    """
    deadline = time.monotonic() + timeout_s
    while not workers.connected_managers():
        if workers.bad_state_is_set:
            raise no_worker(str(workers.executor_exception), run_dir)
        if time.monotonic() > deadline:
            raise no_worker(f"none within {timeout_s:g} s", run_dir)
        time.sleep(_POLL_S)


def _launch_command(pool: Pool, run_dir: Path) -> str:
    from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD

    # A copy beside the logs, where the nodes see it, whatever is installed there.
    job = run_dir / "job.py"
    shutil.copyfile(_HERE / "_job.py", job)
    first = [*pool.container, pool.python, "-P", str(job)]
    words = " ".join(shlex.quote(word) for word in first)
    options = f"--grace={pool.grace_s:g} --addresses={{addresses}} --port={{worker_port}}"
    _, _, arguments = DEFAULT_LAUNCH_CMD.partition(" ")
    return f"exec {words} {options} -- {shlex.quote(pool.python)} -m {_POOL} {arguments}"
