"""The names under which Prefect knows our flows."""

from __future__ import annotations

__all__ = ["DEPLOYMENT", "deployment_name"]

_NAME = "eucentric"


def deployment_name(flow: str) -> str:
    """A flow's deployment, as `<flow>/<name>`."""
    return f"{flow}/{_NAME}"


DEPLOYMENT = deployment_name("retrain")
"""The retraining flow's."""
