"""One seam to compute: a name in the settings becomes a `concurrent.futures.Executor`.

Whatever runs behind it: a result is the task's result, a task's exception keeps its type, a worker that
dies is a `WorkerLostError`, and leaving the context, by an exception too, leaves no process behind.
"""

from __future__ import annotations

import functools
import logging
import multiprocessing
import operator
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eucentric_core import ConfigurationError, EucentricError, HpcSettings, ServiceUnavailableError

if TYPE_CHECKING:
    from parsl import DataFlowKernel
    from parsl.executors import HighThroughputExecutor

__all__ = ["EXECUTORS", "WorkerLostError", "open_executor"]

_HEARTBEAT_PERIOD_S = 2
_HEARTBEAT_THRESHOLD_S = 12
_BLOCK_RETRIES = 1
_POLL_S = 0.05
_JOIN_S = 5.0


class WorkerLostError(EucentricError):
    """The process that ran a task died; what it had done is unknown."""

    code = "worker_lost"


def _worker_lost(cause: BaseException) -> WorkerLostError:
    return WorkerLostError(
        f"The worker that ran the task died: {cause}.",
        safe="checkpoints written before are intact.",
        next_step="submit the task again; if it dies again, look at memory and at the worker's log.",
    )


class _UniformExecutor(Executor):
    """Gives the futures of another executor one exception for a lost worker."""

    def __init__(self, inner: Executor, lost: tuple[type[BaseException], ...]) -> None:
        self._inner = inner
        self._lost = lost

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        outer: Future[Any] = Future()
        outer.set_running_or_notify_cancel()
        try:
            # Parsl wants a signature, which builtins lack, and reads some keyword arguments as its own.
            inner = self._inner.submit(operator.call, functools.partial(fn, *args, **kwargs))
        except self._lost as error:
            outer.set_exception(_worker_lost(error))
            return outer
        inner.add_done_callback(lambda done: self._pass_on(done, outer))
        return outer

    def _pass_on(self, inner: Future[Any], outer: Future[Any]) -> None:
        if inner.cancelled():
            outer.set_exception(_worker_lost(RuntimeError("the executor was closed")))
            return
        error = inner.exception()
        if error is None:
            outer.set_result(inner.result())
        elif isinstance(error, self._lost):
            lost = _worker_lost(error)
            lost.__cause__ = error
            outer.set_exception(lost)
        else:
            outer.set_exception(error)


def _worker_environment(workers: int) -> dict[str, str]:
    """Without this every worker takes all cores, and they slow each other down."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return dict.fromkeys(names, "1") if workers > 1 else {}


def _prepare_worker(environment: Mapping[str, str]) -> None:
    os.environ.update(environment)
    sys.dont_write_bytecode = False
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A worker of a killed parent would wait for its next task for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


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
        for process in self.spawned:
            process.terminate()
        for process in self.spawned:
            process.join(_JOIN_S)
            if process.is_alive():
                process.kill()
                process.join(_JOIN_S)


@contextmanager
def _processes(settings: HpcSettings, run_dir: Path) -> Iterator[Executor]:
    context = _RememberingContext()
    pool = ProcessPoolExecutor(
        settings.workers,
        mp_context=context,
        initializer=_prepare_worker,
        initargs=(_worker_environment(settings.workers),),
    )
    try:
        yield _UniformExecutor(pool, (BrokenExecutor,))
        pool.shutdown(wait=True)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        context.end_all()


@contextmanager
def _parsl_local(settings: HpcSettings, run_dir: Path) -> Iterator[Executor]:
    from parsl import Config, DataFlowKernel
    from parsl.concurrent import ParslPoolExecutor
    from parsl.executors import HighThroughputExecutor
    from parsl.executors.errors import BadStateException
    from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost
    from parsl.jobs.errors import TooManyJobFailuresError
    from parsl.providers import LocalProvider

    # Parsl tells every change of state of every task at INFO.
    logging.getLogger("parsl").setLevel(logging.WARNING)
    lost = (WorkerLost, ManagerLost, BadStateException, TooManyJobFailuresError)

    def retry_cost(error: Exception, _task: object) -> float:
        # A lost worker deserves another try; a task that raised would only raise again.
        return 1 if isinstance(error, lost) else _BLOCK_RETRIES + 1

    exports = "".join(f"export {k}={v}\n" for k, v in _worker_environment(settings.workers).items())
    programs = Path(sys.executable).parent
    workers = HighThroughputExecutor(
        label="local",
        address="127.0.0.1",
        encrypted=True,
        max_workers_per_node=settings.workers,
        cores_per_worker=1e-3,
        heartbeat_period=_HEARTBEAT_PERIOD_S,
        heartbeat_threshold=_HEARTBEAT_THRESHOLD_S,
        interchange_launch_cmd=[sys.executable, "-P", str(Path(__file__).with_name("_interchange.py"))],
        provider=LocalProvider(  # type: ignore[no-untyped-call]
            init_blocks=1,
            min_blocks=1,
            max_blocks=1,
            worker_init=f"unset PYTHONDONTWRITEBYTECODE\nexport PATH='{programs}':$PATH\n{exports}",
        ),
    )
    kernel = DataFlowKernel(
        Config(
            executors=[workers],
            run_dir=str(run_dir / "parsl"),
            strategy="simple",
            strategy_period=1,
            retries=_BLOCK_RETRIES,
            retry_handler=retry_cost,
            usage_tracking=0,
            initialize_logging=False,
        )
    )
    try:
        _wait_for_workers(workers, kernel, settings.start_timeout_s)
        yield _UniformExecutor(ParslPoolExecutor(dfk=kernel), lost)
        kernel.wait_for_current_tasks()
    finally:
        kernel.cleanup()


def _wait_for_workers(workers: HighThroughputExecutor, kernel: DataFlowKernel, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not workers.connected_managers():
        if workers.bad_state_is_set or time.monotonic() > deadline:
            why = workers.executor_exception if workers.bad_state_is_set else f"none within {timeout_s:g} s"
            raise ServiceUnavailableError(
                f"No Parsl worker came up: {why}.",
                safe="no task was started; everything that was started is stopped again.",
                next_step=f"see the *.err and *.log files in {kernel.run_dir}.",
                log=str(kernel.run_dir),
            )
        time.sleep(_POLL_S)


_Opener = Callable[[HpcSettings, Path], AbstractContextManager[Executor]]

EXECUTORS: Mapping[str, _Opener] = {"parsl-local": _parsl_local, "processes": _processes}
"""The kinds of compute, by the name that `settings.hpc.executor` selects."""


def open_executor(settings: HpcSettings, run_dir: Path) -> AbstractContextManager[Executor]:
    """Workers to submit tasks to, for as long as the context is open.

    Functions must be importable by name in a worker; pass large data by path, not as arguments. At the end of
    the context running tasks are awaited; after an exception they are ended.

    Args:
        settings: which kind (see `EXECUTORS`), how many workers, how long they may take to come up.
        run_dir: folder for the logs of this use.

    Raises:
        ConfigurationError: an unknown kind; names the known ones.
        ServiceUnavailableError: no worker came up in time (raised on entering); names the log.
    """
    if settings.executor not in EXECUTORS:
        raise ConfigurationError(
            f"There is no executor {settings.executor!r}.",
            safe="nothing was started.",
            next_step=f"set hpc.executor to one of {', '.join(sorted(EXECUTORS))}.",
        )
    run_dir.mkdir(parents=True, exist_ok=True)
    return EXECUTORS[settings.executor](settings, run_dir)
