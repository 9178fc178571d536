"""`globus-compute`: somebody else's cluster, through its Globus Compute endpoint."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from eucentric_core import (
    ConfigurationError,
    EucentricError,
    GlobusSettings,
    HpcSettings,
    ServiceUnavailableError,
)

from ._compute import Backend, ComputeExecutor, computing
from ._site_file import SiteError, site_of
from ._task import Call, Outcome

if TYPE_CHECKING:
    from globus_compute_sdk import Client, Executor

__all__ = ["globus_compute"]

_LOST = re.compile(r"\b(WorkerLost|ManagerLost)\b")
_MAX_REMOTE_CHARS = 1500
_CLOSE_S = 15.0


class _RemoteWorkerLostError(Exception):
    """The endpoint says that the worker died."""


@contextmanager
def globus_compute(settings: HpcSettings, run_dir: Path, globus: GlobusSettings) -> Iterator[ComputeExecutor]:
    """See `open_executor`."""
    site = site_of(settings)
    if site.globus_compute is None:
        raise SiteError(
            f"The site {site.name} says nothing of Globus Compute.",
            safe="nothing was started.",
            next_step="add a table [globus_compute] with the endpoint's id to its file.",
        )
    try:
        from globus_compute_sdk import Executor
        from globus_compute_sdk.serialize import ComputeSerializer, DillCode, DillDataBase64
    except ImportError as error:
        raise ConfigurationError(
            "The client of Globus Compute is not installed.",
            safe="nothing was started.",
            next_step="pip install 'eucentric[globus-compute]'",
        ) from error
    allowed = site.globus_compute.function
    with _client(globus) as client:
        tasks = Executor(
            endpoint_id=site.globus_compute.endpoint,
            client=client,
            # A group of its own, or results of an earlier executor would arrive here.
            task_group_id=uuid.uuid4(),
            label=f"eucentric-{site.name}",
            # By reference: both ends have this package, and a function's source would miss its module.
            serializer=ComputeSerializer(
                strategy_code=DillCode(),  # type: ignore[no-untyped-call]
                strategy_data=DillDataBase64(),  # type: ignore[no-untyped-call]
            ),
            api_burst_limit=site.globus_compute.submissions,
            api_burst_window_s=site.globus_compute.submissions_period_s,
        )

        def submit(run: Callable[[Call], Outcome], call: Call) -> Future[Outcome]:
            outer: Future[Outcome] = Future()
            inner: Future[Outcome] = (
                tasks.submit(run, call)  # type: ignore[no-untyped-call]
                if allowed is None
                else tasks.submit_to_registered_function(allowed, args=(call,))
            )
            inner.add_done_callback(lambda done: _pass_on(done, outer, site.name))
            return outer

        try:
            with computing(Backend(submit, (_RemoteWorkerLostError,)), settings, run_dir) as compute:
                yield compute
        finally:
            _close(tasks)


@contextmanager
def _client(globus: GlobusSettings) -> Iterator[Client]:
    from globus_compute_sdk import Client
    from globus_sdk import GlobusSDKUsageError
    from globus_sdk.exc import GlobusError

    from eucentric_transfer.globus import GlobusAccount

    with GlobusAccount(globus) as account:
        try:
            yield Client(app=account.app)
        except (GlobusError, GlobusSDKUsageError) as error:
            raise ServiceUnavailableError(
                f"Globus Compute did not accept us: {error}.",
                safe="nothing was started.",
                next_step="check the section [globus] of the settings; `eucentric globus login` logs in.",
            ) from error


def _close(tasks: Executor) -> None:
    from globus_compute_sdk.sdk import executor

    # What runs at the endpoint runs on: the service has no way to end it.
    tasks.shutdown(wait=False, cancel_futures=True)  # type: ignore[no-untyped-call]
    # The library's own thread would keep this process alive until the last result has come, and it leaves the
    # sockets that woke it open: there is no public way to either.
    watcher = executor._RESULT_WATCHERS.get(tasks.task_group_id)
    if watcher is None:
        return
    connection = watcher._connection
    watcher.shutdown(wait=False, cancel_futures=True)  # type: ignore[no-untyped-call]
    watcher.join(_CLOSE_S)
    if connection is not None and not watcher.is_alive():
        connection.ioloop.close()


def _pass_on(inner: Future[Outcome], outer: Future[Outcome], site: str) -> None:
    from globus_compute_sdk.errors import TaskExecutionFailed

    # Closing the executor may settle either of them first.
    with suppress(InvalidStateError):
        if inner.cancelled():
            outer.cancel()
            outer.set_running_or_notify_cancel()
            return
        error = inner.exception()
        if error is None:
            outer.set_result(inner.result())
        elif isinstance(error, TaskExecutionFailed):
            outer.set_exception(_explained(str(error.remote_data), site))
        else:
            outer.set_exception(error)


def _explained(remote: str, site: str) -> BaseException:
    """What an endpoint's trace means: tasks return their own errors, so this is not one of them."""
    tail = remote.strip()[-_MAX_REMOTE_CHARS:]
    if _LOST.search(remote):
        return _RemoteWorkerLostError(f"the endpoint of {site} says: {tail}")
    return _refused(site, tail)


def _refused(site: str, tail: str) -> EucentricError:
    return ServiceUnavailableError(
        f"The endpoint of {site} could not run the task.",
        safe="nothing of it was run, or nothing of it came back.",
        next_step="see that the endpoint's workers have eucentric[hpc] and the Python of this machine."
        f" The endpoint says:\n{tail}",
        log_tail=tail,
    )
