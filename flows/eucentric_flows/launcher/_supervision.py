"""No run is left `Running` for ever: lost ones go on or end loudly, and Prefect is told the truth."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Container
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Completed, Crashed, Failed, Running, Scheduled

from eucentric_core import Settings

from .._deployment import deployment_name
from ..runs import Fate, RunRecord, RunView, clean_up, end_cancelled, fate_of

__all__ = ["Supervision"]

_SETTLED_S = 10.0
_MOST_STARTS = 3
_PAGE = 100
_log = logging.getLogger(__name__)


class Supervision:
    """Compares the record with what is alive and with what Prefect believes, and mends what differs.

    Args:
        settings: of the service.
        client: of Prefect.
        record: the truth.
    """

    def __init__(self, settings: Settings, client: PrefectClient, record: RunRecord) -> None:
        self._settings = settings
        self._client = client
        self._record = record
        self._dead: set[str] = set()

    def look_at(self, flow_run_id: str, *, dead: bool) -> None:
        """Have a flow run looked at next time; `dead`: its process is known to be gone."""
        if dead:
            self._dead.add(flow_run_id)

    async def look(self, children: Container[str]) -> None:
        """Look once.

        Args:
            children: flow runs that have a live process here.
        """
        for run in self._record.unended():
            await self._settle(run)
        for flow_run in await self._unended_at_prefect():
            await self._tell_truth(flow_run, alive=str(flow_run.id) in children)
        for identity in list(self._dead):
            await self._tell_truth_by_id(identity)
            self._dead.discard(identity)

    async def _settle(self, run: RunView) -> None:
        fate = fate_of(run, datetime.now(UTC))
        if fate is Fate.LEAVE:
            return
        if fate is Fate.CANCEL:
            await asyncio.to_thread(end_cancelled, self._settings, self._record, run)
        elif fate is Fate.END:
            done = await asyncio.to_thread(clean_up, self._settings, run)
            reason = (
                f"Lost: not heard of for {run.heartbeat_age_s:.0f} s, in attempt {run.attempt}, after the "
                f"service had gone on with it {run.resumes} time(s).{done}"
            )
            if self._record.end_lost(run, "failed", reason):
                _log.error("run %s: %s", run.trigger_id, reason)
        elif fate is Fate.RESUME:
            _log.warning(
                "run %s of %s was lost in attempt %d; going on with it", run.trigger_id, run.kind, run.attempt
            )
            deployment = await self._client.read_deployment_by_name(deployment_name(run.kind))
            await self._client.create_flow_run_from_deployment(
                deployment.id,
                parameters={"request": run.request},
                name=f"resume {run.trigger_id} {run.attempt + 1}",
                # The service may be killed between this line and the next.
                idempotency_key=f"resume {run.trigger_id} {run.attempt} {run.resumes}",
                tags=["eucentric"],
            )
            self._record.note_resumed(run)

    async def _unended_at_prefect(self) -> list[FlowRun]:
        """Flow runs that Prefect believes to be under way, or to have crashed a moment ago."""
        tags = FlowRunFilterTags(all_=["eucentric"])
        states = FlowRunFilterState(
            type=FlowRunFilterStateType(
                any_=[StateType.RUNNING, StateType.PENDING, StateType.CANCELLING, StateType.CRASHED]
            )
        )
        return await self._client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=states, tags=tags),
            sort=FlowRunSort.START_TIME_DESC,
            limit=_PAGE,
        )

    async def _tell_truth_by_id(self, flow_run_id: str) -> None:
        try:
            flow_run = await self._client.read_flow_run(UUID(flow_run_id))
        except ObjectNotFound:
            return
        if flow_run.state is not None and not flow_run.state.is_final():
            await self._tell_truth(flow_run, alive=False)

    async def _tell_truth(self, flow_run: FlowRun, *, alive: bool) -> None:
        state = flow_run.state
        if state is None or (not alive and state.is_scheduled()):
            return
        age_s = (datetime.now(UTC) - state.timestamp).total_seconds()
        identity = str(flow_run.id)
        if alive or (age_s < _SETTLED_S and identity not in self._dead):
            return
        run = self._record.run_of(identity)
        truth = self._unrecorded(flow_run) if run is None else _truth_of(run, identity)
        if truth is not None and truth.is_running() and not state.is_crashed():
            # It knows better how far it is.
            return
        if truth is None or (state.type == truth.type and state.name == truth.name):
            return
        _log.warning("Prefect believed flow run %s to be %s; it is %s", identity, state.name, truth.name)
        await self._client.set_flow_run_state(flow_run.id, state=truth, force=True)

    def _unrecorded(self, flow_run: FlowRun) -> State[None] | None:
        """A flow run whose process ended before it came to the record: it begins anew, a few times."""
        state = flow_run.state
        if state is None or state.type == StateType.CRASHED:
            return None
        if state.type == StateType.CANCELLING:
            return Cancelled(message="cancelled before it began")
        if flow_run.run_count >= _MOST_STARTS:
            return Crashed(message=f"its process ended {flow_run.run_count} times before it began its work")
        return Scheduled(scheduled_time=datetime.now(UTC) + timedelta(seconds=1), message="begins anew")


def _truth_of(run: RunView, flow_run_id: str) -> State[None]:
    """The state that a flow run of ours should be shown in."""
    if run.flow_run_id != flow_run_id:
        return Crashed(message=f"its process was lost; attempt {run.attempt} goes on with it")
    if run.state == "lost":
        return Crashed(message="its process was lost")
    if not run.over:
        return Running(message="it was taken for dead, and is alive")
    if run.state == "failed":
        return Failed(message=run.reason)
    if run.state == "cancelled":
        return Cancelled(message=run.reason)
    return Completed(name=run.state.capitalize(), message=run.reason)
