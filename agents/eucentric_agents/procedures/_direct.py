"""A microscope for procedures that run beside the instrument, in one process with its driver."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self, cast

from eucentric_core import AgentSettings, Frame, Instrument, Microscope, TransportError
from eucentric_core.vocabulary import (
    BeamBlank,
    BeamUnblank,
    Command,
    CommandResult,
    FrameReference,
    ScanAcquire,
)

from ..drivers import FrameSink, open_driver

__all__ = ["DirectMicroscope", "RecentFrames"]

_KEPT_FRAMES = 16
_GRACE_S = 30.0


class RecentFrames:
    """A frame sink that keeps the last few frames, for whoever waits for one of them.

    Args:
        forward: also receives every frame, after it can be had here.
    """

    def __init__(self, forward: FrameSink | None = None) -> None:
        self._forward = forward
        self._frames: deque[Frame] = deque(maxlen=_KEPT_FRAMES)
        self._arrived = threading.Condition()

    def __call__(self, frame: Frame) -> None:
        """Receive a frame from the driver."""
        with self._arrived:
            self._frames.append(frame)
            self._arrived.notify_all()
        if self._forward is not None:
            self._forward(frame)

    def wait_for(self, reference: FrameReference, stream: str, *, timeout_s: float) -> Frame:
        """The frame of `stream` that belongs to the acquisition that `reference` names.

        Raises:
            TransportError: it did not arrive in time.
        """
        wanted = (reference.session, stream, reference.sequence)

        def found() -> Frame | None:
            for frame in reversed(self._frames):
                if (frame.header.session, frame.header.stream, frame.header.sequence) == wanted:
                    return frame
            return None

        with self._arrived:
            frame = self._arrived.wait_for(found, timeout_s)
        if frame is None:
            raise TransportError(
                f"Frame {reference.sequence} of stream {stream!r} did not arrive within {timeout_s:g} s.",
                safe="the scan has ended.",
                next_step="check that the instrument has this stream (see its capabilities).",
            )
        return frame


class DirectMicroscope(Microscope):
    """An instrument opened in this process, without agent, lease or wire.

    It blanks the beam itself when an `unblank` has lasted its time. Commands that steer wait for each
    other; those that make the instrument safer, and those that may be read at any time, do not.

    Args:
        instrument: the open driver; closed by `close`.
        frames: the sink the driver was opened with.
    """

    def __init__(self, instrument: Instrument, frames: RecentFrames) -> None:
        self._instrument = instrument
        self._frames = frames
        self._owner = threading.RLock()
        self._timer_lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self.capabilities = instrument.capabilities

    @classmethod
    def open(cls, settings: AgentSettings, *, forward: FrameSink | None = None) -> Self:
        """Open the driver that the settings name; `forward` also receives every frame.

        Raises:
            EucentricError: see `open_driver`.
        """
        return cls.over(lambda sink: open_driver(settings, sink), forward=forward)

    @classmethod
    def over(cls, opener: Callable[[FrameSink], Instrument], *, forward: FrameSink | None = None) -> Self:
        """Open an instrument by a function that takes the frame sink."""
        frames = RecentFrames(forward)
        return cls(opener(frames), frames)

    def execute(self, command: Command) -> CommandResult:
        """Carry out one command; see `Instrument.execute`."""
        if isinstance(command, BeamBlank):
            result = self._instrument.execute(command)
            self._limit_exposure(None)
            return result
        if command.urgent or command.verb in self.capabilities.concurrent_verbs:
            return self._instrument.execute(command)
        with self._owner:
            if isinstance(command, BeamUnblank):
                self._limit_exposure(command.max_duration_s)
            return self._instrument.execute(command)

    def scan(
        self, *, height_px: int = 512, width_px: int = 512, dwell_time_s: float = 1e-6, stream: str = "haadf"
    ) -> Frame:
        """Scan one frame; see `Microscope.scan`."""
        command = ScanAcquire(height_px=height_px, width_px=width_px, dwell_time_s=dwell_time_s)
        reference = cast(FrameReference, self.execute(command))
        timeout_s = height_px * width_px * dwell_time_s + _GRACE_S
        return self._frames.wait_for(reference, stream, timeout_s=timeout_s)

    def close(self) -> None:
        """Blank the beam and close the instrument."""
        self._limit_exposure(None)
        self._instrument.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _limit_exposure(self, duration_s: float | None) -> None:
        with self._timer_lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if duration_s is not None:
                self._timer = threading.Timer(duration_s, self._instrument.execute, [BeamBlank()])
                self._timer.name, self._timer.daemon = "unblank-limit", True
                self._timer.start()
