"""Follows a run in the run record: who triggered it, what it is doing, how long each stage took."""

from __future__ import annotations

from pathlib import Path

from eucentric_core import EucentricError
from eucentric_flows import RunRecord, RunView

from ._progress import Progress
from ._stack import Stack, StageTimeoutError

__all__ = ["LoopWatch", "RunFailedError"]

_DOING = {
    "admit": "the policy's guards let the run pass",
    "gather": "registered frames of the new conditions collected",
    "train": "ELIT ensemble trained on Parsl workers",
    "judge": "challenger against champion on held-out frames",
    "sign": "bundle built and signed",
    "register": "version with lineage in MLflow",
    "promote": "champion alias moved",
    "install": "verified and swapped in at the edge",
}


class RunFailedError(EucentricError):
    """The run that should have closed the loop failed."""

    code = "run_failed"


class LoopWatch:
    """Watches for a run that a policy started and follows it to its end."""

    def __init__(self, record: Path, stack: Stack, progress: Progress) -> None:
        self._record = record
        self._stack = stack
        self._progress = progress

    def wait_triggered(self, *, timeout_s: float, required: bool) -> RunView | None:
        """Wait for a retraining to be admitted. Its time counts from the event that asked for it.

        Returns:
            The run, or None if no policy fired in time and none is required to.

        Raises:
            StageTimeoutError: no policy fired in time, although one must.
        """
        found: list[RunView] = []

        def triggered() -> bool:
            found[:] = self._retrainings()[:1]
            return bool(found)

        with self._progress.waiting(lambda: "trigger: waiting for a policy to fire"):
            try:
                self._stack.wait_until(triggered, what="a policy has started a run", timeout_s=timeout_s)
            except StageTimeoutError:
                if required:
                    raise
                return None
        run = found[0]
        seconds = (run.started_utc - run.requested_utc).total_seconds()
        self._progress.record("trigger", seconds, f"from the edge's event to the run, by {run.triggered_by}")
        return run

    def follow(self, run: RunView, *, timeout_s: float) -> RunView:
        """Show each stage of a run as it ends, until the run has ended.

        Raises:
            RunFailedError: the run failed; names the stage and the reason.
            StageTimeoutError: it did not end in time.
        """
        shown: set[str] = set()

        def ended() -> bool:
            view = self._view(run.trigger_id)
            for name, seconds in view.stage_s.items():
                if name not in shown:
                    shown.add(name)
                    self._progress.record(name, seconds, _DOING.get(name, name))
            return view.state not in ("running", "lost")

        with self._progress.waiting(lambda: _present(self._view(run.trigger_id))):
            self._stack.wait_until(ended, what="the run has ended", timeout_s=timeout_s)
        view = self._view(run.trigger_id)
        if view.state == "failed":
            stage = next((s for s in reversed(view.stages) if s.error is not None), None)
            raise RunFailedError(
                f"Run {view.trigger_id} failed"
                + (f" in stage {stage.name!r}: {view.reason}" if stage is not None else f": {view.reason}"),
                safe="the model in service keeps serving; nothing was promoted by the failed stage.",
                next_step=f"see the logs in {self._record.parent.parent / 'logs'}.",
            )
        return view

    def _retrainings(self) -> list[RunView]:
        with RunRecord(self._record) as record:
            return [run for run in record.runs() if run.kind == "retrain"]

    def _view(self, trigger_id: str) -> RunView:
        with RunRecord(self._record) as record:
            return record.run(trigger_id)


def _present(view: RunView) -> str:
    running = next((s for s in reversed(view.stages) if s.ended_utc is None), None)
    if running is None:
        return "between two stages"
    return f"{running.name}: {running.message or _DOING.get(running.name, 'working')}"
