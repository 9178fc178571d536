"""The resident launcher: flow runs begin at once, and every one comes to an end. Imports Prefect."""

from __future__ import annotations

from ._flows import deploy_all, prefect_flow
from ._launcher import Launcher

__all__ = ["Launcher", "deploy_all", "prefect_flow"]
