"""The process of one flow run: forked from one that has imported everything. Imports Prefect."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from uuid import UUID

from prefect.flow_engine import load_flow_run, run_flow

from ..catalogue import FLOWS
from ._flows import prefect_flow

__all__ = ["main", "warm_up"]


_LATE = (
    "eucentric_core.releases",
    "eucentric_hpc.executors",
    "eucentric_hpc.recipes",
    "eucentric_models.engines",
    "eucentric_models.networks",
)
"""What stages import when they need it, because a command that only shows runs does not. Imported here, it
costs no run its seconds. Nothing of it is called before the fork: threads would not come along."""


def warm_up() -> None:
    """Build every flow once, so that a forked process has nothing left to do."""
    for room in _LATE:
        import_module(room)
    for name in FLOWS:
        prefect_flow(name)


def main(name: str, flow_run_id: str, log: str) -> None:
    """Carry a flow run out and end.

    Args:
        name: of the flow.
        flow_run_id: of Prefect.
        log: file for what is printed.
    """
    # Its own group, so that it can be ended with all that it started, and Ctrl-C does not reach it.
    os.setpgrp()
    _print_to(Path(log))
    os.environ["PREFECT__FLOW_RUN_ID"] = flow_run_id
    try:
        run_flow(prefect_flow(name), flow_run=load_flow_run(UUID(flow_run_id)), return_type="state")
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        logging.shutdown()


def _print_to(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, sys.stdout.fileno() if sys.stdout is not None else 1)
    os.dup2(handle, 2)
    os.close(handle)


warm_up()
