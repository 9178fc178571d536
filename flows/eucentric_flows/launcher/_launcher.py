"""Starting flow runs as soon as Prefect schedules them, and seeing every one to its end. Imports Prefect."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas import OrchestrationResult
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import Abort, ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Pending

from eucentric_core import Settings

from ..runs import RunRecord
from ._children import Children
from ._supervision import Supervision

__all__ = ["Launcher"]

_POLL_S = 0.25
_EXPECTING_POLL_S = 0.05
_EXPECTING_S = 1.0
_SUPERVISE_S = 2.0
_MOST_AT_A_TIME = 16
_PATIENCE_S = 5.0
_CANCEL_GRACE_S = 30.0
_STOP_S = 5.0
"""As long a flow run that is being taken has to be begun when the service stops."""

_log = logging.getLogger(__name__)

_UNAVAILABLE = (httpx.HTTPError, PrefectHTTPStatusError, OSError)


class Launcher:
    """Takes scheduled flow runs of our deployments and carries each out in a process of its own.

    Prefect's own runner looks every 10 s and then starts an interpreter; this one looks four times a second,
    or at once when it is woken, and forks a process that has imported everything.

    Args:
        settings: of the service.
        client: of Prefect.
        deployments: ids by the name of the flow.
        record: of runs.
    """

    def __init__(
        self, settings: Settings, client: PrefectClient, deployments: Mapping[str, str], record: RunRecord
    ) -> None:
        self._client = client
        self._flows = {identity: name for name, identity in deployments.items()}
        self._record = record
        self._children = Children(settings.logs, self._ended)
        self._supervision = Supervision(settings, client, record)
        self._woken = asyncio.Event()
        self._expecting_until_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._answers = True

    def wake(self) -> None:
        """Look at once; from any thread."""
        self._loop.call_soon_threadsafe(self._woken.set)

    def expect(self) -> None:
        """Look more often for a second: Prefect has events, and an automation may answer. From any thread."""
        self._expecting_until_s = time.monotonic() + _EXPECTING_S
        self.wake()

    async def warm_up(self) -> None:
        """Have everything imported before the first flow run comes."""
        await self._children.warm_up()

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until told to stop; flow runs that are under way then are left to the next service."""
        stop = asyncio.create_task(stopping.wait())
        supervising = asyncio.create_task(self._supervise(stopping))
        try:
            while not stopping.is_set():
                await self._look_until(stop)
                woken = asyncio.create_task(self._woken.wait())
                pause_s = _EXPECTING_POLL_S if time.monotonic() < self._expecting_until_s else _POLL_S
                await asyncio.wait({woken, stop}, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()
                self._woken.clear()
                if supervising.done():
                    supervising.result()
        finally:
            stop.cancel()
            supervising.cancel()
            await self._children.end_all()
            await asyncio.wait({supervising, stop})

    async def _look_until(self, stop: asyncio.Task[bool]) -> None:
        looking = asyncio.create_task(self._look())
        await asyncio.wait({looking, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not looking.done():
            # Prefect's client asks a server that went away for a minute; nobody waits so long at a stop.
            await asyncio.wait({looking}, timeout=_STOP_S)
            looking.cancel()
            await asyncio.wait({looking})
        if not looking.cancelled():
            looking.result()

    async def _look(self) -> None:
        try:
            found = await self._client.get_scheduled_flow_runs_for_deployments(
                deployment_ids=[UUID(identity) for identity in self._flows],
                scheduled_before=datetime.now(UTC) + timedelta(seconds=_POLL_S),
                limit=_MOST_AT_A_TIME,
            )
        except _UNAVAILABLE as error:
            await self._say_silent(error)
            return
        self._answers = True
        for flow_run in found:
            if str(flow_run.id) not in self._children and len(self._children) < _MOST_AT_A_TIME:
                await self._start(flow_run)

    async def _start(self, flow_run: FlowRun) -> None:
        identity = str(flow_run.id)
        try:
            # Whoever sets this state has the run: another service is refused.
            claimed: OrchestrationResult[Any] = await self._client.set_flow_run_state(
                flow_run.id, state=Pending()
            )
        except (*_UNAVAILABLE, Abort, ObjectNotFound) as error:
            _log.warning("flow run %s was not taken: %s", identity, error)
            return
        if claimed.state is None or claimed.state.type != StateType.PENDING:
            return
        flow = self._flows[str(flow_run.deployment_id)]
        _log.info("flow run %s of %s begins", identity, flow)
        await self._children.start(flow, identity)

    def _ended(self, flow_run_id: str, exit_code: int | None) -> None:
        level = logging.INFO if exit_code == 0 else logging.WARNING
        _log.log(level, "the process of flow run %s ended with %s", flow_run_id, exit_code)
        run = self._record.run_of(flow_run_id)
        if run is not None and not run.over and run.flow_run_id == flow_run_id:
            # It is known to be dead: nobody has to wait until it is silent for long enough.
            self._record.note_dead(run.trigger_id, run.attempt)
        self._supervision.look_at(flow_run_id, dead=True)
        self.wake()

    async def _supervise(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                for flow_run_id in await self._cancelling():
                    self._cancel(flow_run_id)
                await self._supervision.look(self._children)
            except _UNAVAILABLE as error:
                await self._say_silent(error)
            self._hurry()
            await self._children.prepare()
            await asyncio.sleep(_SUPERVISE_S)

    async def _cancelling(self) -> list[str]:
        """Flow runs that somebody cancelled on Prefect's page."""
        runs = await self._client.read_flow_runs(
            deployment_filter=DeploymentFilter(
                id=DeploymentFilterId(any_=[UUID(identity) for identity in self._flows])
            ),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLING]))
            ),
        )
        return [str(run.id) for run in runs]

    def _cancel(self, flow_run_id: str) -> None:
        run = self._record.run_of(flow_run_id)
        if run is not None and not run.over:
            self._record.request_cancel(run.trigger_id, "somebody on Prefect's page")
        elif flow_run_id in self._children:
            self._children.end(flow_run_id)
        else:
            self._supervision.look_at(flow_run_id, dead=True)

    def _hurry(self) -> None:
        """End what does not react to its cancellation."""
        now = datetime.now(UTC)
        for run in self._record.unended():
            if run.cancel_utc is None or run.flow_run_id is None or run.flow_run_id not in self._children:
                continue
            late_s = (now - run.cancel_utc).total_seconds() - _CANCEL_GRACE_S
            if late_s > 0:
                self._children.end(run.flow_run_id, kill=late_s > _CANCEL_GRACE_S)

    async def _say_silent(self, error: BaseException) -> None:
        if self._answers:
            _log.warning("Prefect does not answer; flow runs begin once it does: %s", error)
        self._answers = False
        await asyncio.sleep(_PATIENCE_S / 5)
