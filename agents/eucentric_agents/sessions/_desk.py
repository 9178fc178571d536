"""Opening and closing sessions: the driver counts, the data channel is told in band."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

from eucentric_core import Event, Instrument, SessionStarted, SessionStopped
from eucentric_core.vocabulary import CommandResult, InstrumentState, SessionStart, SessionStop, StateGet

from ._names import SessionNames

__all__ = ["Desk", "SessionDesk"]


class Desk(Protocol):
    """What carries out `session.start` and `session.stop`."""

    def start(self, command: SessionStart, *, trace_id: str | None) -> CommandResult:
        """Open a session and announce it before its first frame; see `SessionDesk.start`."""
        ...

    def stop(self) -> CommandResult:
        """Close the session and announce it after its last frame; see `SessionDesk.stop`."""
        ...

    def stop_if_open(self) -> None:
        """Close the session if one is open; see `stop`."""
        ...


class SessionDesk:
    """The desk beside the driver. Runs on the driver's owner thread.

    Args:
        driver: counts the acquisitions.
        names: what was used before.
        publish: sends an event in band, that is after the frames already sent; blocks until it is taken.
    """

    def __init__(self, driver: Instrument, names: SessionNames, publish: Callable[[Event], None]) -> None:
        self._driver = driver
        self._names = names
        self._publish = publish
        self._name = driver.capabilities.instrument

    def start(self, command: SessionStart, *, trace_id: str | None) -> CommandResult:
        """Open a session and announce it before its first frame.

        Raises:
            CommandRefusedError: one is open, or the name was used before.
            TransportError: it could not be announced; it was closed again.
        """
        result = self._driver.execute(command)
        try:
            self._names.take(command.session)
            self._publish(
                SessionStarted(
                    source=self._name,
                    instrument=self._name,
                    session=command.session,
                    sample=command.sample,
                    material=command.material,
                    **({} if trace_id is None else {"trace_id": trace_id}),
                )
            )
        except BaseException:
            self._driver.execute(SessionStop())
            raise
        return result

    def stop(self) -> CommandResult:
        """Close the session and announce it after its last frame.

        Raises:
            CommandRefusedError: none is open.
            TransportError: it could not be announced; the session is closed all the same.
        """
        session = self._state().session
        result = self._driver.execute(SessionStop())
        if session is not None:
            self._tell_stopped(session, self._state().next_sequence)
        return result

    def stop_if_open(self) -> None:
        """Close the session if one is open; see `stop`."""
        if self._state().session is not None:
            self.stop()

    def tell_abandoned(self, session: str, *, frames: int) -> None:
        """Announce the end of a session whose driver has died; `frames` were surely published.

        Raises:
            TransportError: it could not be announced.
        """
        self._tell_stopped(session, frames)

    def _tell_stopped(self, session: str, frames: int) -> None:
        self._publish(
            SessionStopped(source=self._name, instrument=self._name, session=session, frames=frames)
        )

    def _state(self) -> InstrumentState:
        return cast(InstrumentState, self._driver.execute(StateGet()))
