"""Finding the process that carries a run out."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

from eucentric_core import Settings
from eucentric_flows import RunView

__all__ = ["processes_of_run"]


def processes_of_run(settings: Settings, run: RunView) -> list[psutil.Process]:
    """Those that lead a group and write the log of the run's flow run: one, while it is carried out.

    Args:
        settings: of the site.
        run: as the record shows it.
    """
    log = settings.logs / "runs" / f"{run.flow_run_id}.log"
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            leads = os.getpgid(process.pid) == process.pid
            if leads and Path(f"/proc/{process.pid}/fd/2").readlink().name == log.name:
                found.append(process)
    return found
