"""An acquisition whose dose was planned, while the device can be asked nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from eucentric_core.vocabulary import CameraAcquire, Command, ScanAcquire, ScanStream, SpectrumAcquire

__all__ = ["PlannedExposure"]

_LONGER = 1.25
_READOUT_S = 3.0


class PlannedExposure:
    """Knows until when an acquisition may keep its device from being read.

    The interlocks have admitted it with the whole dose of its plan, and count it in full once the state is
    read again. It may take a little longer than planned: lines fly back, cameras read out.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until_s: float | None = None
        self.frame_s = 0.0
        """How long one frame of the last stream takes: each is admitted whole before it begins."""

    @property
    def goes_on(self) -> bool:
        """Whether one is at the device, within its time."""
        until_s = self._until_s
        return until_s is not None and self._clock() < until_s

    @contextmanager
    def under_way(self, command: Command) -> Iterator[None]:
        """Around a command's time at the driver; for the driver's owner thread."""
        planned_s = _planned_s(command)
        if planned_s is not None:
            self._until_s = self._clock() + _LONGER * planned_s + _READOUT_S
        if isinstance(command, ScanStream):
            self.frame_s = _LONGER * command.dwell_time_s * command.height_px * command.width_px
        try:
            yield
        finally:
            self._until_s = None


def _planned_s(command: Command) -> float | None:
    if isinstance(command, ScanAcquire):
        return command.dwell_time_s * command.height_px * command.width_px
    return command.exposure_s if isinstance(command, CameraAcquire | SpectrumAcquire) else None
