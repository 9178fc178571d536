"""Sessions and the end of a scan, which are the same for every driver that has a scan loop."""

from __future__ import annotations

from eucentric_core.vocabulary import Command, Done, ScanAbort, SessionStart, SessionStop

from ._commands import Handler
from ._scan_loop import ScanLoop
from ._sessions import SessionCounter

__all__ = ["session_handlers"]


def session_handlers(sessions: SessionCounter, loop: ScanLoop) -> dict[type[Command], Handler]:
    """What carries out `session.start`, `session.stop` and `scan.abort`, for a `CommandTable`.

    A session ends after the last frame of its scan has left; its scans are counted.
    """
    loop.announce_scans(sessions.begin_scan)

    def start(command: SessionStart) -> Done:
        sessions.start(command)
        return Done()

    def stop(_command: SessionStop) -> Done:
        sessions.require()
        loop.stop()
        sessions.stop()
        return Done()

    def abort(_command: ScanAbort) -> Done:
        loop.abort()
        return Done()

    return {SessionStart: start, SessionStop: stop, ScanAbort: abort}
