"""Which service of a hub needs which, in the order in which they start."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["NEEDS"]

NEEDS: Mapping[str, tuple[str, ...]] = {
    "postgres": (),
    "prefect": ("postgres",),
    "mlflow": ("postgres",),
    "repository": ("postgres",),
    "flows": ("prefect", "mlflow", "repository"),
    "dashboard": ("flows",),
    "proxy": (),
}
