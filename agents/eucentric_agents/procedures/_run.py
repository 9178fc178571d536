"""Running a procedure: step by step, resumable after a crash, and never leaving the beam on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from pydantic import JsonValue

from eucentric_core import EucentricError, Frame, Microscope, utc_now

from ._checkpoint import Checkpoint, StepRecord
from ._control import Progress, RunControl
from ._unstage import unstaged

__all__ = ["Procedure", "ProgressCallback", "Steps", "run"]

ProgressCallback = Callable[[Progress], None]

_Outcome = TypeVar("_Outcome")


class Steps:
    """What a procedure's `perform` does its steps with."""

    def __init__(
        self,
        procedure: str,
        checkpoint: Checkpoint | None,
        control: RunControl,
        progress: ProgressCallback | None,
        on_pause: Callable[[], None],
    ) -> None:
        self._procedure = procedure
        self._checkpoint = checkpoint
        self._control = control
        self._progress = progress
        self._on_pause = on_pause
        self._done = 0
        self.total = 0
        """How many steps there will be, as far as is known."""

    def do(self, name: str, work: Callable[[], StepRecord], *, picture: str | None = None) -> StepRecord:
        """Do a step unless the checkpoint says that it is finished, and return what it left.

        Args:
            name: says what the step is; together with its place it identifies the step.
            work: does it; what it returns is made durable before the next step begins.
            picture: name of the frame to show with the progress.

        Raises:
            ProcedureAbortedError: somebody aborted before the step was finished.
            EucentricError: the step failed.
        """
        index = self._done
        record = None if self._checkpoint is None else self._checkpoint.load(index, name)
        if record is None:
            self._stand_by()
            try:
                record = work()
            except EucentricError:
                # An abort makes moves and scans fail; what ended the procedure is the abort.
                self._control.check()
                raise
            # A frame taken while somebody aborted may be dark.
            self._control.check()
            if self._checkpoint is not None:
                record = self._checkpoint.store(index, name, record)
        self._done = index + 1
        self._tell(name, None if picture is None else record.frames[picture])
        return record

    def _stand_by(self) -> None:
        self._control.check()
        if self._control.pause_wanted:
            self._on_pause()
            self._tell("paused")
            self._control.hold()
            self._control.check()
            self._tell("resumed")

    def _tell(self, message: str, picture: Frame | None = None) -> None:
        if self._progress is not None:
            total = max(self.total, self._done)
            self._progress(Progress(self._procedure, self._done, total, message, picture))


class Procedure(ABC, Generic[_Outcome]):
    """Something an instrument does in many steps.

    `perform` must do the same steps in the same order when it is called again with the same parameters:
    after a crash, finished steps are answered from the checkpoint.
    """

    name: ClassVar[str]

    @abstractmethod
    def parameters(self) -> Mapping[str, JsonValue]:
        """All that decides what the steps are, as plain JSON."""

    @abstractmethod
    def perform(self, scope: Microscope, steps: Steps) -> _Outcome:
        """Do the steps by `steps.do` and return the outcome.

        The beam is blanked on entry to every step and must be so at its end (see `Exposure`).
        """


def run(
    procedure: Procedure[_Outcome],
    scope: Microscope,
    *,
    checkpoint: Path | None = None,
    progress: ProgressCallback | None = None,
    control: RunControl | None = None,
) -> _Outcome:
    """Run a procedure and return its outcome. However it ends, the instrument is unstaged (see `unstage`).

    Opens a session of its own if none is open, and closes that again.

    Args:
        procedure: what to do.
        scope: on which microscope; a remote one must hold the lease.
        checkpoint: folder that receives every finished step; with one that exists, the procedure goes on
            where it ended, in whichever process.
        progress: told after every step. What it raises ends the procedure.
        control: to pause, resume and abort from another thread.

    Raises:
        ProcedureAbortedError: somebody aborted.
        CheckpointError: the checkpoint belongs to something else or is damaged.
        BlankingFailedError: the beam could not be blanked at the end.
        EucentricError: a step failed; run it again with the same checkpoint to go on.
    """
    control = control if control is not None else RunControl()
    # The session is closed last: that may wait for a recorder, and the beam must not.
    with _session_if_none(scope, procedure.name) as open_session, ExitStack() as stack:
        stack.enter_context(unstaged(scope))
        stack.enter_context(control.attached(scope))
        # Someone may have left it on, and the stage is about to move.
        scope.blank()
        store = None
        if checkpoint is not None:
            store = Checkpoint(
                checkpoint,
                procedure=procedure.name,
                instrument=scope.capabilities.instrument,
                parameters=procedure.parameters(),
            )
            stack.enter_context(store)
        open_session()
        return procedure.perform(scope, Steps(procedure.name, store, control, progress, scope.blank))


@contextmanager
def _session_if_none(scope: Microscope, procedure: str) -> Iterator[Callable[[], None]]:
    opened = False

    def open_session() -> None:
        nonlocal opened
        if "session.start" in scope.capabilities.verbs and scope.state().session is None:
            scope.start_session(f"{procedure}-{utc_now():%Y%m%dT%H%M%S%f}")
            opened = True

    try:
        yield open_session
    except BaseException as error:
        if opened:
            try:
                scope.stop_session()
            except EucentricError as later:
                error.add_note(f"the session could not be closed: {later}")
        raise
    if opened:
        scope.stop_session()
