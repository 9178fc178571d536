"""A run while it is carried out: heartbeat, stages, and how it ended."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from eucentric_core import ErrorReport, EucentricError

from ._run_record import RunRecord
from ._run_views import Outcome

__all__ = ["ActiveRun", "carrying_out"]

_HEARTBEAT_S = 3.0

_log = logging.getLogger(__name__)


class ActiveRun:
    """A run that this process carries out.

    Once another process has taken the run over, as the next attempt, nothing that this one still says counts.
    """

    def __init__(self, record: RunRecord, trigger_id: str) -> None:
        self._record = record
        self.trigger_id = trigger_id
        self.attempt = record.run(trigger_id).attempt

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """Record a stage; yields a function that notes what it is doing or waiting for."""
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

        def close(error: ErrorReport | None) -> None:
            self._record.write(
                "UPDATE stages SET ended_utc = ?, error = ?"
                " WHERE trigger_id = ? AND attempt = ? AND name = ?",
                self._record.now(),
                error and error.model_dump_json(),
                *key,
            )

        try:
            yield say
        except BaseException as error:
            close(_report(error))
            raise
        close(None)

    def end(self, outcome: Outcome, reason: str, *, version: int | None = None) -> None:
        """Record how the run ended; only the first word counts."""
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

    def beat(self) -> None:
        """Tell the record that this run is alive."""
        self._record.write(
            "UPDATE runs SET heartbeat_utc = ? WHERE trigger_id = ? AND attempt = ?",
            self._record.now(),
            self.trigger_id,
            self.attempt,
        )


@contextmanager
def carrying_out(record: RunRecord, trigger_id: str) -> Iterator[ActiveRun]:
    """Carry an admitted run out, with a heartbeat; an exception is recorded as its failure."""
    run = ActiveRun(record, trigger_id)
    ended = threading.Event()

    def beat_until_ended() -> None:
        while not ended.wait(_HEARTBEAT_S):
            run.beat()

    heart = threading.Thread(target=beat_until_ended, name="heartbeat", daemon=True)
    heart.start()
    try:
        yield run
    except BaseException as error:
        run.end("failed", _report(error).what)
        raise
    finally:
        ended.set()
        heart.join()


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
