"""Asking Prefect to run a recorded request once more."""

from __future__ import annotations

from prefect.client.orchestration import get_client

from ._deployment import DEPLOYMENT
from ._run_record import RunRecordError
from ._run_views import RunView

__all__ = ["resume"]


def resume(run: RunView) -> str:
    """Create a flow run for a retraining that failed or was lost. Returns its id.

    Raises:
        RunRecordError: this run is no such retraining.
    """
    if run.kind != "retrain" or run.state not in ("failed", "lost"):
        raise RunRecordError(
            f"Run {run.trigger_id} is a {run.kind} that is {run.state}: there is nothing to resume.",
            safe="nothing was changed.",
            next_step="resume a retraining that failed or was lost; repeat a bootstrap by its command.",
        )
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(DEPLOYMENT)
        flow_run = client.create_flow_run_from_deployment(
            deployment.id, parameters={"request": run.request}, name=f"resume {run.trigger_id}"
        )
    return str(flow_run.id)
