"""The Prefect flow `retrain`. Prefect starts it and shows it; our record says what happened."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.runtime import flow_run as prefect_flow_run
from prefect.states import Completed

from eucentric_core import ConfigurationError, Settings, configure_logging

from ._active_run import ActiveRun, carrying_out
from ._automation import AUTOMATION_PREFIX
from ._errors import HeldError
from ._event_outbox import EventOutbox, outbox_path
from ._pipeline import Ending, Say, Site
from ._retraining import retrain as retrain_model
from ._run_record import Admission, RunRecord, runs_path
from ._run_views import TriggeredBy
from ._warm_executor import warm_executor
from .policy import (
    Decision,
    PastRun,
    Policy,
    PolicyError,
    RetrainAction,
    RetrainRequest,
    decide,
    load_policies,
)

__all__ = ["SETTINGS_VARIABLE", "retrain"]

SETTINGS_VARIABLE = "EUCENTRIC_FLOWS_SETTINGS"
"""Settings of the service that serves this flow, as JSON; every flow run is a process of its own."""

_T = TypeVar("_T")


@flow(name="retrain", description="Gather, train, judge, sign, register, promote and install a model.")
def retrain(request: RetrainRequest) -> State[None]:
    """Carry a retraining out, unless its policy holds it back.

    Args:
        request: what to train; a trigger id that was dealt with before does nothing.

    Raises:
        EucentricError: a stage failed; the record says which, and `eucentric run resume` goes on.
    """
    settings = _settings()
    configure_logging("retrain", settings.logs)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    made_by = _this_run()
    with RunRecord(runs_path(settings)) as record:
        admission, action = _admit(settings, record, request, made_by)
        if admission.status in ("held", "finished"):
            message = f"{admission.status}: {admission.reason}"
            return Completed(name=admission.status.capitalize(), message=message)
        with carrying_out(record, request.trigger_id) as run:
            try:
                ending = _carry_out(settings, request, action, run)
            except HeldError as error:
                run.end("held", error.what)
                return Completed(name="Held", message=f"held: {error}")
            run.end(ending.outcome, ending.reason, version=ending.version)
    return Completed(name=ending.outcome.capitalize(), message=ending.reason)


def _settings() -> Settings:
    text = os.environ.get(SETTINGS_VARIABLE)
    if text is None:
        raise ConfigurationError(
            "This flow was started without the settings of its service.",
            safe="nothing was trained.",
            next_step="serve it with `eucentric flows serve`.",
        )
    return Settings.model_validate_json(text)


def _this_run() -> FlowRun | None:
    identity = prefect_flow_run.get_id()
    if identity is None:
        return None
    with get_client(sync_client=True) as client:
        return client.read_flow_run(UUID(identity))


def triggered_by(made_by: FlowRun | None) -> TriggeredBy:
    """Whether one of our automations made this flow run: Prefect's own word, not the request's."""
    creator = made_by.created_by if made_by is not None else None
    if creator is not None and creator.type == "AUTOMATION":
        return "policy" if (creator.display_value or "").startswith(AUTOMATION_PREFIX) else "manual"
    return "manual"


def _admit(
    settings: Settings, record: RunRecord, request: RetrainRequest, made_by: FlowRun | None
) -> tuple[Admission, RetrainAction]:
    policy = _policy(settings, request)

    def decision(history: Sequence[PastRun], now: datetime) -> Decision:
        if policy is not None and request.event is not None:
            return decide(policy, request.event, history, now)
        for run in history:
            if run.model == request.model and run.in_flight:
                return Decision(fire=False, reason=f"run {run.trigger_id} of model {run.model} is in flight")
        return Decision(fire=True, reason="asked for by a person")

    admission = record.admit(
        trigger_id=request.trigger_id,
        kind="retrain",
        policy=request.policy,
        model=request.model,
        triggered_by=triggered_by(made_by),
        request=request.model_dump(mode="json"),
        decision=decision,
        flow_run_id=None if made_by is None else str(made_by.id),
        requested_utc=None if request.event is None else request.event.occurred_utc,
    )
    return admission, RetrainAction() if policy is None else policy.action


def _policy(settings: Settings, request: RetrainRequest) -> Policy | None:
    if request.policy is None:
        return None
    for policy in load_policies(settings.policies_path):
        if policy.name == request.policy:
            return policy
    raise PolicyError(
        f"There is no policy {request.policy!r} in {settings.policies_path}.",
        safe="nothing was trained.",
        next_step="restart `eucentric flows serve`, which removes automations of policies that are gone.",
    )


def _carry_out(settings: Settings, request: RetrainRequest, action: RetrainAction, run: ActiveRun) -> Ending:
    def run_stage(name: str, stage: Callable[[Say], _T], /) -> _T:
        def body() -> _T:
            with run.stage(name) as say:
                return stage(say)

        return task(name=name, task_run_name=name, persist_result=False)(body)()

    outbox = EventOutbox(outbox_path(settings))
    try:
        site = Site.of(settings, outbox)
        logs = settings.logs / "hpc" / request.trigger_id
        with warm_executor(settings, logs) as executor:
            return retrain_model(site, request, action, executor, run_stage)
    finally:
        outbox.close()
