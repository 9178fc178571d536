"""The process of one flow run: forked from one that has imported everything. Imports Prefect."""

from __future__ import annotations

import gc
import logging
import os
import ssl
import sys
import traceback
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from uuid import UUID

import certifi
from prefect.client.orchestration import get_client
from prefect.context import SyncClientContext
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_API_SSL_CERT_FILE, PREFECT_API_URL

from eucentric_hpc.executors import forked_workers
from eucentric_model_registry import import_mlflow

from .._entry import service_settings
from .._prefect_client import httpx_settings
from ..catalogue import FLOWS
from ._flows import prefect_flow

__all__ = ["stand_by", "warm_up"]


_LATE = (
    "eucentric_core.releases",
    "eucentric_hpc.executors",
    "eucentric_hpc.recipes",
    "eucentric_models.backends",
    "eucentric_models.engines",
    "eucentric_models.networks",
    "eucentric_models.pictures",
    "prefect.task_engine",
    "prefect.utilities.visualization",
    "sqlalchemy.dialects.sqlite",
)
"""What stages import when they need it, because a command that only shows runs does not. Imported here, it
costs no run its seconds. Nothing of it is called before the fork: threads would not come along."""


def warm_up() -> None:
    """Build every flow once, so that a forked process has nothing left to do."""
    for room in _LATE:
        import_module(room)
    import_mlflow()
    for name in FLOWS:
        prefect_flow(name)
    _trust()
    # The collector would write to every page that processes share after the fork.
    gc.collect()
    gc.freeze()


def stand_by(orders: Connection, *, computes: bool) -> None:
    """Wait for a flow run, carry it out and end; end at once if nobody can give one any more.

    Args:
        orders: from where a flow, the id of a flow run of Prefect, and the file for what is printed come.
        computes: whether to fork workers meanwhile.
    """
    # Its own group, so that it can be ended with all that it started, and Ctrl-C does not reach it.
    os.setpgrp()
    with ExitStack() as workers:
        if computes:
            # Prefect starts threads, and a process that has some must not be forked any more.
            workers.enter_context(_workers())
        try:
            flow, flow_run_id, log = orders.recv()
        except EOFError:
            return
        if not FLOWS[flow].computes:
            workers.close()
        _carry_out(flow, flow_run_id, Path(log))


def _carry_out(name: str, flow_run_id: str, log: Path) -> None:
    _print_to(log)
    os.environ["PREFECT__FLOW_RUN_ID"] = flow_run_id
    try:
        with _OneClient() as prefect:
            flow_run = prefect.client.read_flow_run(UUID(flow_run_id))
            run_flow(prefect_flow(name), flow_run=flow_run, return_type="state")
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        logging.shutdown()


class _OneClient(SyncClientContext):
    """The client of all that Prefect asks in this process.

    Prefect takes the client that is there only where it was made with the settings of the one that it would
    make: with others, it made and connected one more for every question.
    """

    def __init__(self) -> None:
        settings = {"verify": _trust(), **httpx_settings(PREFECT_API_URL.value() or "")}
        super(SyncClientContext, self).__init__(client=get_client(sync_client=True, httpx_settings=settings))


@cache
def _trust() -> ssl.SSLContext:
    """Whom Prefect's client trusts. Reading all certificates takes 0.03 s, and each client would do so."""
    return ssl.create_default_context(cafile=PREFECT_API_SSL_CERT_FILE.value() or certifi.where())


def _workers() -> AbstractContextManager[object]:
    settings = service_settings()
    return forked_workers(settings.hpc, settings.logs / "hpc" / f"workers-{os.getpid()}.stderr")


def _print_to(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, sys.stdout.fileno() if sys.stdout is not None else 1)
    os.dup2(handle, 2)
    os.close(handle)


warm_up()
