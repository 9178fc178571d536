"""Opening and closing sessions: the driver counts, the data channel is told in band, a name is used once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

from eucentric_core import (
    CommandRefusedError,
    Event,
    Instrument,
    SessionStarted,
    SessionStopped,
)
from eucentric_core.vocabulary import CommandResult, InstrumentState, SessionStart, SessionStop, StateGet

__all__ = ["SessionDesk", "SessionNames"]


class SessionNames:
    """The names of all sessions this agent has opened, on disk, one a line.

    A name is used once, because data sets, shards and catalogue entries are named after it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._used = set(path.read_text(encoding="utf-8").split()) if path.exists() else set()

    def take(self, name: str) -> None:
        """Use a name; durable when this returns.

        Raises:
            CommandRefusedError: it was used before.
        """
        if name in self._used:
            raise CommandRefusedError(
                f"There was a session {name!r} already.",
                safe="no session was opened; its data set is untouched.",
                next_step="choose another name.",
            )
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(f"{name}\n")
            stream.flush()
            os.fsync(stream.fileno())
        self._used.add(name)


class SessionDesk:
    """Carries out `session.start` and `session.stop`. Runs on the driver's owner thread.

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
            self._publish(
                SessionStopped(
                    source=self._name,
                    instrument=self._name,
                    session=session,
                    frames=self._state().next_sequence,
                )
            )
        return result

    def stop_if_open(self) -> None:
        """Close the session if one is open; see `stop`."""
        if self._state().session is not None:
            self.stop()

    def _state(self) -> InstrumentState:
        return cast(InstrumentState, self._driver.execute(StateGet()))
