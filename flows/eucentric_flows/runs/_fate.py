"""What becomes of a run that has not ended: a pure decision."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from ._views import RunView

__all__ = ["MOST_RESUMES", "Fate", "fate_of"]

MOST_RESUMES = 3
"""So often the service goes on with a lost run by itself; then the run ends as failed, and says so."""

_RESUME_AGAIN_AFTER_S = 120.0


class Fate(StrEnum):
    """`LEAVE` it alone, go on with it (`RESUME`), `END` it as failed, or end it as cancelled (`CANCEL`)."""

    LEAVE = "leave"
    RESUME = "resume"
    END = "end"
    CANCEL = "cancel"


def fate_of(run: RunView, now: datetime) -> Fate:
    """What to do about a run.

    Args:
        run: as the record shows it.
        now: the present time, in UTC.
    """
    if run.state != "lost":
        return Fate.LEAVE
    if run.cancel_utc is not None:
        return Fate.CANCEL
    if run.resumed_utc is not None and (now - run.resumed_utc).total_seconds() < _RESUME_AGAIN_AFTER_S:
        # Another attempt has been ordered, and may be waiting for Prefect.
        started_since = any(
            stage.attempt == run.attempt and stage.started_utc > run.resumed_utc for stage in run.stages
        )
        if not started_since:
            return Fate.LEAVE
    # A bootstrap is a command of a person, who has seen it end.
    if run.kind == "bootstrap" or run.resumes >= MOST_RESUMES:
        return Fate.END
    return Fate.RESUME
