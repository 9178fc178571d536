"""The record of runs, read once for all viewers of a site."""

from __future__ import annotations

from collections import deque

from eucentric_core import Settings
from eucentric_flows import RunView, runs_path
from eucentric_flows.runs import log_lines

from ..._per_site import PerSite
from ..._runs_reader import RunsReader
from ..._shared_reading import SharedReading

__all__ = ["RunSource", "run_source_of"]

_FRESH_S = 1.0
_SHOWN_RUNS = 200
_LOG_LINES = 300


class RunSource:
    """The runs of one site.

    Args:
        settings: of the site.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reader = RunsReader(runs_path(settings), limit=_SHOWN_RUNS)
        self.runs: SharedReading[tuple[RunView, ...]] = SharedReading(self._reader, fresh_s=_FRESH_S)

    def logs(self, run: RunView) -> list[dict[str, object]]:
        """The last 300 lines that this machine's services wrote about a run."""
        return list(deque(log_lines(self._settings.logs, run.trace_id), maxlen=_LOG_LINES))


run_source_of = PerSite(RunSource)
