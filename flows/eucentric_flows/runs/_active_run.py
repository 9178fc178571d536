"""A run while it is carried out: heartbeat, stages, what it waits for, and how it ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from eucentric_core import ErrorReport, EucentricError, flush_spans, root_span, span, tracing

from .._errors import RunCancelledError, RunTakenOverError
from .._outcome import Outcome
from ._interruption import interruptible
from ._record import RunRecord
from ._waits import wait_of

__all__ = ["ActiveRun", "carrying_out"]

_HEARTBEAT_S = 3.0
_LOOK_S = 0.5
_MOST_WAITS = 500

_log = logging.getLogger(__name__)


class ActiveRun:
    """A run that this process carries out.

    Once another process has taken the run over, as the next attempt, nothing that this one still says counts.
    """

    def __init__(self, record: RunRecord, trigger_id: str) -> None:
        self._record = record
        self.trigger_id = trigger_id
        view = record.run(trigger_id)
        self.attempt = view.attempt
        self.trace_id = view.trace_id
        self._ended = False

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """Record a stage; yields a function that notes what it is doing or waiting for.

        Raises:
            RunCancelledError: somebody has cancelled the run.
            RunTakenOverError: another process carries it out.
        """
        self.check()
        key = (self.trigger_id, self.attempt, name)
        self._record.write(
            "INSERT OR REPLACE INTO stages (trigger_id, attempt, name, started_utc) VALUES (?, ?, ?, ?)",
            *key,
            self._record.now(),
        )

        def say(message: str) -> None:
            _log.info("%s: %s", name, message)
            self._record.write(
                "UPDATE stages SET message = ? WHERE trigger_id = ? AND attempt = ? AND name = ?",
                message,
                *key,
            )
            self._note_wait(name, wait_of(message))

        def close(error: ErrorReport | None) -> None:
            self._note_wait(name, None)
            self._record.write(
                "UPDATE stages SET ended_utc = ?, error = ?"
                " WHERE trigger_id = ? AND attempt = ? AND name = ?",
                self._record.now(),
                error and error.model_dump_json(),
                *key,
            )

        with span(name, attempt=self.attempt):
            try:
                yield say
            except BaseException as error:
                close(_report(error))
                raise
            close(None)

    def _note_wait(self, stage: str, reason: str | None) -> None:
        view = self._record.run(self.trigger_id)
        waiting = view.waits[-1] if view.waits and view.waits[-1].ended_utc is None else None
        if waiting is not None and (waiting.stage, waiting.attempt, waiting.reason) == (
            stage,
            self.attempt,
            reason,
        ):
            return
        if waiting is not None:
            self._record.write(
                "UPDATE waits SET ended_utc = ? WHERE trigger_id = ? AND ended_utc IS NULL",
                self._record.now(),
                self.trigger_id,
            )
        if reason is not None and len(view.waits) < _MOST_WAITS:
            self._record.write(
                "INSERT INTO waits (trigger_id, attempt, stage, reason, began_utc) VALUES (?, ?, ?, ?, ?)",
                self.trigger_id,
                self.attempt,
                stage,
                reason,
                self._record.now(),
            )

    def end(self, outcome: Outcome, reason: str, *, version: int | None = None) -> None:
        """Record how the run ended; only the first word counts."""
        self._ended = True
        now = self._record.now()
        self._record.write(
            "UPDATE runs SET ended_utc = ?, heartbeat_utc = ?, outcome = ?, reason = ?, version = ?"
            " WHERE trigger_id = ? AND attempt = ? AND outcome IS NULL",
            now,
            now,
            outcome,
            reason,
            version,
            self.trigger_id,
            self.attempt,
        )
        _log.info("ended %s: %s", outcome, reason)

    def leave(self) -> None:
        """This process ends before the run does: it is lost from now on, and the service goes on with it."""
        self._record.note_dead(self.trigger_id, self.attempt)

    def beat(self) -> None:
        """Tell the record that this run is alive."""
        self._record.write(
            "UPDATE runs SET heartbeat_utc = ? WHERE trigger_id = ? AND attempt = ? AND outcome IS NULL",
            self._record.now(),
            self.trigger_id,
            self.attempt,
        )

    def objection(self) -> EucentricError | None:
        """Why this process must not go on with the run; None while it may."""
        if self._ended:
            return None
        view = self._record.run(self.trigger_id)
        if view.attempt != self.attempt or view.over:
            return RunTakenOverError(
                f"Attempt {self.attempt} at run {self.trigger_id} was given up: the record says that it is "
                f"{view.state} in attempt {view.attempt}.",
                safe="nothing that this process still does counts.",
                next_step="`eucentric run show` tells what became of it.",
            )
        if view.cancel_utc is not None:
            return RunCancelledError(
                f"Cancelled by {view.cancelled_by}.",
                safe="the model in service keeps serving; an instrument was put in its safe state.",
                next_step="`eucentric run resume` goes on with it, should that have been a mistake.",
            )
        return None

    def check(self) -> None:
        """Raise if this process must not go on."""
        if (objection := self.objection()) is not None:
            raise objection


@contextmanager
def carrying_out(
    record: RunRecord, trigger_id: str, *, leave_on: tuple[type[BaseException], ...] = ()
) -> Iterator[ActiveRun]:
    """Carry an admitted run out, with a heartbeat; an exception is recorded as its failure.

    A cancellation ends the block by `RunCancelledError` wherever it stands, so that everything that it holds
    (jobs, leases, beams) is let go on the way out.

    Args:
        record: where the run is.
        trigger_id: which.
        leave_on: what ends this process, not the run: another attempt goes on with it.
    """
    run = ActiveRun(record, trigger_id)
    ended = threading.Event()
    with tracing(run.trace_id, whole_process=True), interruptible() as interrupt:

        def beat_until_ended() -> None:
            beaten_s = time.monotonic()
            while not ended.wait(_LOOK_S):
                objection = run.objection()
                if objection is not None and not ended.is_set():
                    interrupt(objection)
                if time.monotonic() - beaten_s >= _HEARTBEAT_S:
                    beaten_s = time.monotonic()
                    run.beat()

        heart = threading.Thread(target=beat_until_ended, name="heartbeat", daemon=True)
        heart.start()
        try:
            kind = record.run(trigger_id).kind
            with root_span(kind, run.trace_id, trigger_id=trigger_id, attempt=run.attempt):
                yield run
        except leave_on:
            ended.set()
            run.leave()
            raise
        except RunCancelledError as error:
            run.end("cancelled", error.what)
            raise
        except BaseException as error:
            run.end("failed", _report(error).what)
            raise
        finally:
            ended.set()
            heart.join()
            flush_spans()


def _report(error: BaseException) -> ErrorReport:
    if isinstance(error, EucentricError):
        return error.report()
    said = str(error)
    return ErrorReport(
        code="unforeseen",
        what=f"Ended by {type(error).__name__}{f': {said}' if said else ''}.",
        safe="the model in service keeps serving.",
        next_step="see the log of the run, then go on with `eucentric run resume`.",
    )
