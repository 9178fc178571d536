"""MLflow's own library: imported when it is needed, as that takes a second, and never with its telemetry."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module

__all__ = ["import_mlflow"]

_MODULES = (
    "mlflow",
    "mlflow.exceptions",
    "mlflow.store.artifact.mlflow_artifacts_repo",
    "mlflow.store.artifact.runs_artifact_repo",
    "mlflow.store.model_registry.rest_store",
    "mlflow.store.tracking.rest_store",
)


@cache
def import_mlflow() -> None:
    """Import what a `Registry` uses of MLflow. Who forks processes does this once for all of them."""
    # MLflow decides about its telemetry while it is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    for module in _MODULES:
        import_module(module)
    # What it adds to requests depends on where it runs, and it imports more to find out.
    import_module("mlflow.tracking.request_header.registry").resolve_request_headers()
