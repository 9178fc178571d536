"""The name under which Prefect knows the retraining flow."""

from __future__ import annotations

__all__ = ["DEPLOYMENT"]

DEPLOYMENT = "retrain/eucentric"
"""The deployment, as `<flow>/<name>`."""
