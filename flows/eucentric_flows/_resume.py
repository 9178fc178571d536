"""Asking Prefect to run a recorded request once more."""

from __future__ import annotations

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

from eucentric_core import ServiceUnavailableError

from ._deployment import deployment_name
from .runs import RunRecordError, RunView

__all__ = ["require_resumable", "resume"]

_RESUMABLE = ("failed", "lost", "cancelled")


def require_resumable(run: RunView) -> None:
    """Refuse a run that cannot go on.

    Raises:
        RunRecordError: it has come to its end, is being carried out, or no flow does it.
    """
    if run.kind == "bootstrap" or run.state not in _RESUMABLE:
        raise RunRecordError(
            f"Run {run.trigger_id} is a {run.kind} that is {run.state}: there is nothing to resume.",
            safe="nothing was changed.",
            next_step="resume what failed, was lost or cancelled; repeat a bootstrap by its command.",
        )


def resume(run: RunView) -> str:
    """Create a flow run for a run that did not come to its end. Returns its id.

    Raises:
        RunRecordError: it cannot go on.
        ServiceUnavailableError: Prefect does not answer, or the flow service has never run there.
    """
    require_resumable(run)
    try:
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name(deployment_name(run.kind))
            flow_run = client.create_flow_run_from_deployment(
                deployment.id, parameters={"request": run.request}, name=f"resume {run.trigger_id}"
            )
    except (httpx.HTTPError, ObjectNotFound) as error:
        raise ServiceUnavailableError(
            f"Prefect did not take the order to go on with {run.trigger_id}: {error}.",
            safe="the run stays as it ended.",
            next_step="check that the Prefect server runs, and start `eucentric flows serve` once.",
        ) from error
    return str(flow_run.id)
