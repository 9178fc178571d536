"""The shell around every flow: admitted or not, recorded, cancelled or ended. Imports Prefect."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from prefect import task
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import SyncClientContext
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run as prefect_flow_run
from prefect.states import Cancelled, Completed

from eucentric_core import ConfigurationError, Settings, configure_logging

from ._admission import policy_decision, policy_made
from ._automation import AUTOMATION_PREFIX
from ._errors import HeldError, RunCancelledError
from ._event_outbox import EventOutbox, outbox_path
from ._pipeline import RunStage, Say, Site
from .catalogue import FlowSpec, Running
from .runs import ActiveRun, RunRecord, TriggeredBy, carrying_out, runs_path

__all__ = ["SETTINGS_VARIABLE", "enter", "service_settings", "triggered_by"]

SETTINGS_VARIABLE = "EUCENTRIC_FLOWS_SETTINGS"
"""Settings of the service that serves the flows, as JSON; every flow run is a process of its own."""

_T = TypeVar("_T")


def enter(spec: FlowSpec[Any], request: Any) -> State[None]:
    """Carry a flow out, unless its policy or another run holds it back.

    Args:
        spec: which flow.
        request: its parameters; a trigger id that was dealt with before does nothing.

    Raises:
        EucentricError: a stage failed; the record says which, and `eucentric run resume` goes on.
    """
    settings = service_settings()
    configure_logging(spec.name, settings.logs)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    made_by = _this_run()
    request = _named(request, made_by)
    subject, made = spec.subject(settings, request), triggered_by(made_by)
    decision = policy_decision(settings, request, subject, by_automation=made == "policy")
    if policy_made(settings, request.trigger_id, request.policy):
        made = "policy"
    with RunRecord(runs_path(settings)) as record:
        admission = record.admit(
            trigger_id=request.trigger_id,
            kind=spec.name,
            policy=request.policy,
            model=subject,
            triggered_by=made,
            request=request.model_dump(mode="json"),
            decision=decision,
            flow_run_id=None if made_by is None else str(made_by.id),
            requested_utc=None if request.event is None else request.event.occurred_utc,
        )
        if admission.status in ("held", "finished"):
            message = f"{admission.status}: {admission.reason}"
            return Completed(name=admission.status.capitalize(), message=message)
        try:
            # SIGTERM ends this process, not the run: the service goes on with it.
            with carrying_out(record, request.trigger_id, leave_on=(TerminationSignal,)) as run:
                try:
                    ending = spec.carry_out(_running(settings, spec, run), request)
                except HeldError as error:
                    run.end("held", error.what)
                    return Completed(name="Held", message=f"held: {error}")
                run.end(ending.outcome, ending.reason, version=ending.version)
        except RunCancelledError as error:
            return Cancelled(message=error.what)
    return Completed(name=ending.outcome.capitalize(), message=ending.reason)


def service_settings() -> Settings:
    """Settings of the service that started this process.

    Raises:
        ConfigurationError: no service did.
    """
    text = os.environ.get(SETTINGS_VARIABLE)
    if text is None:
        raise ConfigurationError(
            "This flow was started without the settings of its service.",
            safe="nothing was done.",
            next_step="serve it with `eucentric flows serve`.",
        )
    return Settings.model_validate_json(text)


def _this_run() -> FlowRun | None:
    identity = prefect_flow_run.get_id()
    if identity is None:
        return None
    with SyncClientContext.get_or_create() as prefect:
        return prefect.client.read_flow_run(UUID(identity))


def _named(request: Any, made_by: FlowRun | None) -> Any:
    """The request with a trigger id: that of the flow run where it has none, so a retry is the same run."""
    if request.trigger_id is not None:
        return request
    if made_by is None:
        raise ConfigurationError(
            "A flow that is not run by Prefect needs a trigger_id.",
            safe="nothing was done.",
            next_step="give one, or start the flow with `eucentric flows run`.",
        )
    return request.model_copy(update={"trigger_id": made_by.id.hex})


def triggered_by(made_by: FlowRun | None) -> TriggeredBy:
    """Whether one of our automations made this flow run: Prefect's own word, not the request's."""
    creator = made_by.created_by if made_by is not None else None
    if creator is not None and creator.type == "AUTOMATION":
        return "policy" if (creator.display_value or "").startswith(AUTOMATION_PREFIX) else "manual"
    return "manual"


def _running(settings: Settings, spec: FlowSpec[Any], run: ActiveRun) -> Running:
    folder = settings.home / "runs" / run.trigger_id
    return Running(settings, run, _stage_runner(run), folder, partial(_open_site, settings))


def _stage_runner(run: ActiveRun) -> RunStage:
    def run_stage(name: str, stage: Callable[[Say], _T], /) -> _T:
        def body() -> _T:
            with run.stage(name) as say:
                return stage(say)

        return task(name=name, task_run_name=name, persist_result=False)(body)()

    return run_stage


@contextmanager
def _open_site(settings: Settings) -> Iterator[Site]:
    outbox = EventOutbox(outbox_path(settings))
    try:
        yield Site.of(settings, outbox)
    finally:
        outbox.close()
