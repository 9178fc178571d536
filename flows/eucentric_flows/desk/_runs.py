"""Ordering a run, ending one, going on with one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eucentric_core import Settings

from .._server import prefect_environment
from ..catalogue import FlowSpec
from ..runs import RunRecord, RunView, end_cancelled, runs_path

__all__ = ["cancel_run", "order_flow", "resume_run"]


def order_flow(settings: Settings, spec: FlowSpec[Any], request: Any) -> str:
    """Have the flow service carry a request out. Returns its trigger id; the same one is ordered once.

    Raises:
        ServiceUnavailableError: Prefect does not answer, or the flow service has never run there.
    """
    with _prefect_of(settings):
        from .._order import order

        order(spec.name, request.model_dump(mode="json"))
    return str(request.trigger_id)


def cancel_run(settings: Settings, trigger_id: str, by: str) -> RunView:
    """Have a run end: its jobs leave the queue, an instrument is put in its safe state.

    Whoever carries it out hears of it within seconds; a run whose process is gone is ended here.

    Returns:
        The run as it is now, which may not be over yet.

    Raises:
        RunRecordError: there is no such run.
    """
    with RunRecord(runs_path(settings)) as record:
        run = record.request_cancel(trigger_id, by)
        if run.state == "lost":
            # Nobody is left who could hear of it.
            end_cancelled(settings, record, run)
            run = record.run(trigger_id)
        return run


def resume_run(settings: Settings, trigger_id: str) -> str:
    """Go on with a run that failed, was lost or cancelled. Returns the id of Prefect's flow run.

    Raises:
        RunRecordError: it cannot go on, or there is no such run.
        ServiceUnavailableError: Prefect does not answer.
    """
    with _prefect_of(settings):
        from .._resume import require_resumable, resume

        with RunRecord(runs_path(settings)) as record:
            require_resumable(record.run(trigger_id))
            run = record.reopen(trigger_id)
        return resume(run)


@contextmanager
def _prefect_of(settings: Settings) -> Iterator[None]:
    # Prefect reads the environment when it is imported; of later sites it has to be told.
    environment = prefect_environment(settings)
    os.environ.update(environment)
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    with temporary_settings(
        {
            PREFECT_API_URL: settings.hub.prefect_api_url,
            PREFECT_API_AUTH_STRING: environment.get("PREFECT_API_AUTH_STRING"),
        }
    ):
        yield
