"""The progress of an acquisition, as the agent counts it."""

from __future__ import annotations

from collections.abc import Callable

from eucentric_core import SteeringClient, TransportError

from ._reading import Reading

__all__ = ["AcquisitionProgress"]


class AcquisitionProgress:
    """Frames of a session, counted at the instrument; whoever started the scan may be gone.

    Args:
        connect: opens a connection to the agent; again after it broke, or after the agent was restarted.
        session: whose frames are counted.
        frames: how many there will be; None: until the session ends or the scan stops.
    """

    def __init__(
        self, connect: Callable[[], SteeringClient], *, session: str, frames: int | None = None
    ) -> None:
        self.name = f"acquisition {session}"
        self._connect = connect
        self._session = session
        self._frames = frames
        self._scope: SteeringClient | None = None

    def read(self) -> Reading:
        """See `ProgressSource.read`."""
        if self._scope is None:
            self._scope = self._connect()
        try:
            state = self._scope.state()
        except TransportError:
            self.close()
            raise
        done = state.next_sequence
        if state.session != self._session:
            return Reading(
                f"the session has ended; {done} frames when last counted", True, done, self._frames
            )
        if state.fault is not None:
            return Reading(f"the scan ended: {state.fault.what}", True, done, self._frames)
        of = "" if self._frames is None else f" of {self._frames}"
        enough = self._frames is not None and done >= self._frames
        stopped = not state.scanning and (enough or self._frames is None)
        return Reading(f"{done}{of} frames", enough or stopped, done, self._frames)

    def close(self) -> None:
        """See `ProgressSource.close`."""
        if self._scope is not None:
            self._scope.close()
            self._scope = None
