"""Parsl itself, which is started anew where it cannot go on."""

from __future__ import annotations

import logging
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, InvalidStateError
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from eucentric_core import EucentricError

from ._errors import no_worker
from ._parsl_hopeless import GivingUp
from ._parsl_pool import Pool
from ._task import Call, Outcome

if TYPE_CHECKING:
    from parsl import DataFlowKernel
    from parsl.executors import HighThroughputExecutor

__all__ = ["LABEL", "Kernels"]

_log = logging.getLogger(__name__)

LABEL = "eucentric"
"""How Parsl calls this executor, and with it every job."""

_HERE = Path(__file__).parent
_POOL = "parsl.executors.high_throughput.process_worker_pool"
_LOST_BEATS = 6
_POLL_S = 0.05
_LOOK_S = 1.0
_COMMAND_S = 15.0
_TIMES_ANEW = 1
_FAIL_TRIES = 40
_END_S = 10.0


class Kernels:
    """Parsl, and Parsl once more if its interchange ends: without one, tasks would wait for ever.

    Args:
        pool: where its workers run.
        run_dir: for its logs.
    """

    def __init__(self, pool: Pool, run_dir: Path) -> None:
        self._pool = pool
        self._run_dir = run_dir
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._workers: HighThroughputExecutor | None = None
        self._kernel: DataFlowKernel | None = None
        self._tasks: Executor | None = None
        self._anew = _TIMES_ANEW

    def start(self) -> None:
        """Start it.

        Raises:
            ServiceUnavailableError: its interchange does not come up.
        """
        from parsl.concurrent import ParslPoolExecutor

        with self._lock:
            while True:
                workers = _workers(self._pool, self._run_dir)
                try:
                    kernel = _kernel(workers, self._run_dir)
                    break
                except Exception as error:
                    # Parsl says nothing more exact; its pipe breaks where the interchange is gone at once.
                    if type(error) is not Exception and not isinstance(error, BrokenPipeError):
                        raise
                    _end_interchange(workers)
                    if not self._anew:
                        raise no_worker(str(error), self._run_dir) from error
                    self._anew -= 1
                    _log.warning("Parsl is started anew: %s", error)
            _bound_commands(workers)
            self._workers, self._kernel = workers, kernel
            self._tasks = ParslPoolExecutor(dfk=kernel)
        threading.Thread(target=self._watch, args=(workers,), name="interchange", daemon=True).start()

    @property
    def workers(self) -> HighThroughputExecutor:
        """Parsl's executor that is in use, or was last.

        Raises:
            RuntimeError: none was started.
        """
        if self._workers is None:
            raise RuntimeError("Parsl was not started")
        return self._workers

    def submit(self, fn: Callable[[Call], Outcome], call: Call) -> Future[Outcome]:
        """Hand a task over, to a new Parsl if the interchange of the former has ended."""
        with self._lock:
            self.renew()
            if self._tasks is None:
                raise RuntimeError("Parsl was not started")
            return self._tasks.submit(fn, call)

    def renew(self) -> None:
        """Start Parsl anew if its interchange has ended and that may still be tried."""
        with self._lock:
            if self._may_be_renewed():
                self._anew -= 1
                _log.warning("Parsl is started anew: %s", self.workers.executor_exception)
                # Two workers with one task would get in each other's way at its checkpoints.
                self._end()
                self.start()

    def broken(self) -> EucentricError | None:
        """Why it is of no more use, None while it is or can be renewed."""
        if not self.workers.bad_state_is_set or self._may_be_renewed():
            return None
        return no_worker(str(self.workers.executor_exception), self._run_dir)

    def close(self) -> None:
        """Cancel blocks and end all processes of its own."""
        self._closing.set()
        with self._lock:
            self._end()

    def _end(self) -> None:
        kernel, self._kernel = self._kernel, None
        if kernel is None:
            return
        kernel.cleanup()
        workers = self.workers
        if not workers.bad_state_is_set:
            return
        # Parsl cancels no block of an executor that failed.
        jobs = list(workers.blocks_to_job_id.values())
        self._pool.provider.cancel(jobs)
        deadline = time.monotonic() + self._pool.grace_s + _END_S
        while time.monotonic() < deadline:
            if all(status.terminal for status in self._pool.provider.status(jobs)):
                return
            time.sleep(_POLL_S)
        _log.warning("workers of a Parsl that failed have not ended within %g s", self._pool.grace_s + _END_S)

    def _may_be_renewed(self) -> bool:
        ended = isinstance(self.workers.executor_exception, _InterchangeEndedError)
        return ended and self.workers.bad_state_is_set and self._anew > 0 and not self._closing.is_set()

    def _watch(self, workers: HighThroughputExecutor) -> None:
        """Parsl itself does not look whether its interchange is alive."""
        while not self._closing.wait(_LOOK_S):
            process = workers.interchange_proc
            if process is not None and (status := process.poll()) is not None:
                if not self._closing.is_set() and not workers.bad_state_is_set:
                    _fail_all(workers, _InterchangeEndedError(f"Parsl's interchange ended (status {status})"))
                return


def _fail_all(workers: HighThroughputExecutor, error: Exception) -> None:
    """Fail all tasks; Parsl goes through them while results that came just before take theirs away."""
    for _ in range(_FAIL_TRIES):
        try:
            workers.set_bad_state_and_fail_all(error)
        except (RuntimeError, InvalidStateError) as race:
            _log.debug("once more: %s", race)
            time.sleep(_POLL_S)
        else:
            return
    _log.error("not all tasks of a Parsl without interchange could be failed")


def _workers(pool: Pool, run_dir: Path) -> HighThroughputExecutor:
    from parsl.executors import HighThroughputExecutor

    return HighThroughputExecutor(
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
        block_error_handler=GivingUp(pool),
        provider=pool.provider,
    )


def _kernel(workers: HighThroughputExecutor, run_dir: Path) -> DataFlowKernel:
    from parsl import Config, DataFlowKernel

    return DataFlowKernel(
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


def _bound_commands(workers: HighThroughputExecutor) -> None:
    """Parsl waits without end for answers of its interchange, and could not even be closed without one."""
    client = workers.command_client
    client.run = partial(client.run, timeout_s=_COMMAND_S)  # type: ignore[method-assign]


def _end_interchange(workers: HighThroughputExecutor) -> None:
    process = workers.interchange_proc
    if process is not None and process.poll() is None:
        process.kill()
        process.wait()


class _InterchangeEndedError(Exception):
    """The process between this one and the workers is gone."""


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
