"""Asking Prefect, for a flow run as its own page does, patiently: with SQLite it is busy at times (503)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random_exponential

__all__ = ["ask_prefect", "create_flow_run"]


def _busy(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == 503
    return isinstance(error, httpx.TimeoutException)


@retry(
    retry=retry_if_exception(_busy),
    wait=wait_random_exponential(0.2, max=3),
    stop=stop_after_delay(120),
    reraise=True,
)
def ask_prefect(method: str, url: str, body: Mapping[str, Any] | None = None) -> Any:
    """The JSON that it answers with; a server on a machine that is busy may take its time."""
    return httpx.request(method, url, json=body, timeout=60).raise_for_status().json()


def create_flow_run(api_url: str, flow: str, request: Mapping[str, Any]) -> str:
    """Have a flow of ours run; returns the id of the flow run.

    Args:
        api_url: of Prefect.
        flow: by name.
        request: its parameters.
    """
    deployment = ask_prefect("GET", f"{api_url}/deployments/name/{flow}/eucentric")["id"]
    body = {
        "parameters": {"request": dict(request)},
        "state": {"type": "SCHEDULED"},
        "idempotency_key": uuid4().hex,
    }
    return str(ask_prefect("POST", f"{api_url}/deployments/{deployment}/create_flow_run", body)["id"])
