"""The progress of a run, as the hub's record has it."""

from __future__ import annotations

import time
from pathlib import Path

from eucentric_core import load_settings

from ..display import require
from ._reading import Reading

__all__ = ["RunProgress"]


class RunProgress:
    """A run of the flow service, read from its record; the service may be restarted meanwhile.

    Args:
        run: its id, or the beginning of it.
        config: settings file of the hub.
        begins_within_s: a run that was only just ordered may be on no record for so long (s).
    """

    def __init__(self, run: str, *, config: Path | str | None = None, begins_within_s: float = 0.0) -> None:
        self.name = f"run {run}"
        self._run = run
        self._begun_by_s = time.monotonic() + begins_within_s
        self._settings = load_settings(None if config is None else Path(config))
        self._flows = require("eucentric_flows", "hub")

    def read(self) -> Reading:
        """See `ProgressSource.read`."""
        with self._flows.RunRecord(self._flows.runs_path(self._settings)) as record:
            if record.known(self._run) is None and time.monotonic() < self._begun_by_s:
                return Reading("ordered, and not yet taken by the flow service", False)
            run = record.find(self._run)
        finished = [stage for stage in run.stages if stage.ended_utc is not None]
        said = run.state if run.doing is None else f"{run.state}: {run.doing.name}"
        if run.waiting is not None:
            said += f", waits for {run.waiting.reason}"
        if run.over and finished and finished[-1].error is not None:
            said += f": {finished[-1].error.what}"
        if run.version is not None:
            said += f", version {run.version}"
        return Reading(said, run.over, len(finished))

    def close(self) -> None:
        """See `ProgressSource.close`."""
