"""What a run whose process is gone may have left behind, and letting go of it."""

from __future__ import annotations

import logging

from eucentric_core import EucentricError, Settings

from ._record import RunRecord
from ._views import RunView

__all__ = ["clean_up", "end_cancelled"]

_log = logging.getLogger(__name__)


def clean_up(settings: Settings, run: RunView) -> str:
    """Take jobs that a dead run left out of the batch system's queue. Says what was done, as a sentence.

    An instrument needs no such thing: the lease of a dead process ends after its 10 s, and the agent then
    stops the scan and blanks the beam by itself.
    """
    folder = settings.logs / "hpc" / run.trigger_id
    if not folder.is_dir():
        return ""
    from eucentric_hpc.executors import cancel_jobs_left_behind

    try:
        left = cancel_jobs_left_behind(folder)
    except EucentricError as error:
        _log.error("jobs of run %s may be left in the queue: %s", run.trigger_id, error)
        return f" Jobs may be left in the queue: {error.what}"
    return f" Cancelled in the queue: {', '.join(left)}." if left else ""


def end_cancelled(settings: Settings, record: RunRecord, run: RunView) -> None:
    """End a lost run that somebody cancelled."""
    done = clean_up(settings, run)
    reason = f"Cancelled by {run.cancelled_by}; its process was gone already.{done}"
    if record.end_lost(run, "cancelled", reason):
        _log.warning("run %s: %s", run.trigger_id, reason)
