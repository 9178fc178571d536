"""Ordering a run of a flow from Prefect. Imports Prefect."""

from __future__ import annotations

from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

from eucentric_core import ServiceUnavailableError

from ._deployment import deployment_name

__all__ = ["order"]


def order(flow: str, request: dict[str, Any]) -> str:
    """Create a flow run; the same trigger id is ordered once. Returns the id of the flow run.

    Raises:
        ServiceUnavailableError: Prefect does not answer, or the flow service has never run there.
    """
    try:
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name(deployment_name(flow))
            flow_run = client.create_flow_run_from_deployment(
                deployment.id,
                parameters={"request": request},
                idempotency_key=f"{flow} {request['trigger_id']}",
                tags=["eucentric"],
            )
    except (httpx.HTTPError, ObjectNotFound) as error:
        raise ServiceUnavailableError(
            f"Prefect did not take the order of {flow}: {error}.",
            safe="nothing was started.",
            next_step="check that the Prefect server runs, and start `eucentric flows serve` once.",
        ) from error
    return str(flow_run.id)
