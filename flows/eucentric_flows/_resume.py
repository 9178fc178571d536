"""Asking Prefect to run a recorded request once more."""

from __future__ import annotations

from prefect.deployments import run_deployment

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
            next_step="only a retraining that failed or was lost can be resumed; repeat a bootstrap by its command.",
        )
    flow_run = run_deployment(DEPLOYMENT, parameters={"request": run.request}, timeout=0, as_subflow=False)
    return str(flow_run.id)
