"""The engine as a part of the service: a thread that steps it, and automations that follow the folder."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException

from eucentric_core import Settings

from .._automation import publish_policies
from .._deployment import DEPLOYMENT
from .._event_outbox import EventOutbox
from ..policy import Policy
from ..runs import RunRecord
from ._engine import PolicyEngine
from ._folder import PolicyFolder
from ._orders import OrderTaker
from ._store import PolicyStore, policies_file

__all__ = ["deciding"]

_PAUSE_S = 0.02
_FOLDER_EVERY_S = 1.0

_log = logging.getLogger(__name__)


@contextmanager
def deciding(
    settings: Settings,
    outbox: EventOutbox,
    record: RunRecord,
    orders: OrderTaker,
    *,
    on_end: Callable[[], None],
    on_considered: Callable[[int], None],
) -> Iterator[None]:
    """Decide about events inside the block.

    Args:
        settings: of the hub.
        outbox: where events arrive.
        record: of runs.
        orders: who carries out what is decided.
        on_end: called if deciding stops by itself, which only an unforeseen error makes it do; leaving the
            block then raises that error.
        on_considered: told up to which position in the outbox policies were asked and orders given.

    Raises:
        PolicyError: a policy file is bad already at the start.
    """
    stopping = threading.Event()
    mirror = _Mirror()
    folder = PolicyFolder(settings.policies_path, on_change=mirror.want)

    def run() -> None:
        with PolicyStore(policies_file(settings)) as store:
            engine = PolicyEngine(
                lambda: folder.decided_here, outbox, store, record, orders, on_considered=on_considered
            )
            folder_due_s = 0.0
            while not stopping.is_set():
                if time.monotonic() >= folder_due_s:
                    folder.refresh()
                    mirror.catch_up()
                    folder_due_s = time.monotonic() + _FOLDER_EVERY_S
                if not engine.step():
                    stopping.wait(_PAUSE_S)

    def ended(_run: Future[None]) -> None:
        if not stopping.is_set():
            on_end()

    with ThreadPoolExecutor(1, thread_name_prefix="policies") as thread:
        running = thread.submit(run)
        running.add_done_callback(ended)
        try:
            yield
        finally:
            stopping.set()
    running.result()


class _Mirror:
    """Brings Prefect's automations up to date after a change, and tries again while Prefect is down."""

    def __init__(self) -> None:
        self._wanted: tuple[Policy, ...] | None = None

    def want(self, policies: tuple[Policy, ...]) -> None:
        self._wanted = policies

    def catch_up(self) -> None:
        if self._wanted is None:
            return
        try:
            asyncio.run(_publish(self._wanted))
        except (httpx.HTTPError, PrefectException) as error:
            _log.warning("automations are not up to date yet: %s", error)
        else:
            self._wanted = None


async def _publish(policies: tuple[Policy, ...]) -> None:
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(DEPLOYMENT)
        await publish_policies(client, policies, deployment.id)
