"""Pausing, resuming and aborting a procedure from another thread, and seeing how far it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from eucentric_core import EucentricError, Frame, Microscope

from ._errors import ProcedureAbortedError

__all__ = ["Progress", "RunControl"]


@dataclass(frozen=True, slots=True)
class Progress:
    """`step` of `steps` are finished. `picture` is what the last one showed, if anything."""

    procedure: str
    step: int
    steps: int
    message: str
    picture: Frame | None = None

    def __str__(self) -> str:
        return f"{self.procedure} {self.step}/{self.steps}: {self.message}"


class RunControl:
    """Handle on a running procedure. Any thread may use it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._wanted_pause = False
        self._paused = False
        self._aborted = False
        self._scope: Microscope | None = None

    @property
    def paused(self) -> bool:
        """Whether the procedure stands still between two steps, beam blanked."""
        return self._paused

    @property
    def aborted(self) -> bool:
        """Whether somebody aborted."""
        return self._aborted

    def pause(self) -> None:
        """Stand still after the present step; returns at once."""
        with self._changed:
            self._wanted_pause = True
            self._changed.notify_all()

    def resume(self) -> None:
        """Go on."""
        with self._changed:
            self._wanted_pause = False
            self._changed.notify_all()

    def wait_paused(self, timeout_s: float) -> bool:
        """Wait until the procedure stands still; returns whether it does."""
        with self._changed:
            return self._changed.wait_for(lambda: self._paused, timeout_s)

    def abort(self) -> None:
        """End the procedure: blanks the beam, stops scan and stage at once; finished steps stay finished.

        Raises:
            EucentricError: the instrument could not be stopped; the procedure itself still ends, and
                unstages, at its next step.
        """
        with self._changed:
            self._aborted = True
            self._changed.notify_all()
            scope = self._scope
        if scope is None:
            return
        failures: list[EucentricError] = []
        for verb, action in (
            ("beam.blank", scope.blank),
            ("scan.abort", scope.abort_scan),
            ("stage.stop", scope.stop_stage),
        ):
            if verb in scope.capabilities.verbs:
                try:
                    action()
                except EucentricError as error:
                    failures.append(error)
        if failures:
            raise failures[0]

    @contextmanager
    def attached(self, scope: Microscope) -> Iterator[None]:
        """For the time of the block, `abort` acts on this microscope."""
        with self._changed:
            self._scope = scope
        try:
            yield
        finally:
            with self._changed:
                self._scope = None

    def check(self) -> None:
        """Let a step through, or not.

        Raises:
            ProcedureAbortedError: somebody aborted.
        """
        if self._aborted:
            raise ProcedureAbortedError(
                "The procedure was aborted.",
                safe="the beam is blanked; finished steps are in the checkpoint, if there is one.",
                next_step="run it again with the same checkpoint to go on where it stopped.",
            )

    def hold(self) -> bool:
        """Whether a pause is wanted; then stands still until it is over or somebody aborts."""
        with self._changed:
            if not self._wanted_pause:
                return False
            self._paused = True
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: not self._wanted_pause or self._aborted)
            finally:
                self._paused = False
        return True

    @property
    def pause_wanted(self) -> bool:
        """Whether the procedure is to stand still before its next step."""
        return self._wanted_pause
