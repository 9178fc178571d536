"""Scans and camera frames of a vendor's microscope, on a lane of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from eucentric_core import BusyError, CommandRefusedError, Frame, Optics, StagePosition, utc_now
from eucentric_core.vocabulary import (
    CameraAcquire,
    Command,
    FrameReference,
    ScanAcquire,
    ScanStream,
    StreamReport,
)

from .._commands import Handler
from .._scan_loop import ScanLoop
from .._sessions import SessionCounter
from ._beam import Blanker
from ._frames import FrameMaker, Shot
from ._lane import Lane
from ._parts import CameraPart, ScanPart, VendorScope

__all__ = ["Imaging"]

S = TypeVar("S")


class Imaging(Generic[S]):
    """Takes frames and hands them to the sink.

    Args:
        instrument: name in every header.
        scope: the microscope's parts.
        lane: where frames are acquired.
        blanker: knows whether the beam may be on.
        surroundings: reads optics and stage at the moment of acquisition, on the lane.
        overhead_s: what a frame may take beyond twice its exposure.
        sink: receives the frames.
    """

    def __init__(
        self,
        instrument: str,
        scope: VendorScope[S],
        *,
        lane: Lane[S],
        blanker: Blanker[S],
        surroundings: Callable[[S], tuple[Optics, StagePosition]],
        overhead_s: float,
        sink: Callable[[Frame], None],
    ) -> None:
        self._instrument = instrument
        self._scope = scope
        self._lane = lane
        self._blanker = blanker
        self._surroundings = surroundings
        self._overhead_s = overhead_s
        self._sink = sink
        self.sessions = SessionCounter()
        self._frames = FrameMaker(instrument, simulated=scope.simulated, sessions=self.sessions)
        self._planned: Callable[[], Frame] | None = None
        self.loop = ScanLoop(self._take_frame)
        self.dwell_time_s: float | None = None

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams that it publishes."""
        scanned = () if self._scope.scan is None else (self._scope.scan.stream,)
        return (*scanned, *(camera.stream for camera in self._scope.cameras))

    def handlers(self) -> dict[type[Command], Handler]:
        """What carries out the imaging verbs that this microscope has."""
        handlers: dict[type[Command], Handler] = {}
        scan = self._scope.scan
        if scan is not None:
            handlers[ScanAcquire] = lambda command: self._scan_acquire(scan, command)
            handlers[ScanStream] = lambda command: self._scan_stream(scan, command)
        if self._scope.cameras:
            handlers[CameraAcquire] = self._camera_acquire
        return handlers

    def _scan_acquire(self, part: ScanPart[S], command: ScanAcquire) -> FrameReference:
        self._prepare(lambda: self._plan_scan(part, command))
        return self._reference(part.stream, self.loop.acquire())

    def _scan_stream(self, part: ScanPart[S], command: ScanStream) -> StreamReport:
        self._prepare(lambda: self._plan_scan(part, command))
        first = self.sessions.next_sequence
        self.loop.start(max_frames=command.max_frames, max_frames_per_s=command.max_frames_per_s)
        return StreamReport(session=self.sessions.require().name, first_sequence=first)

    def _camera_acquire(self, command: CameraAcquire) -> FrameReference:
        camera = self._camera(command.camera)
        self._prepare(lambda: self._plan_camera(camera, command))
        return self._reference(camera.stream, self.loop.acquire())

    def _prepare(self, plan: Callable[[], Callable[[], Frame]]) -> None:
        self.sessions.require()
        if self.loop.scanning:
            raise BusyError(
                "A scan is running.",
                safe="it goes on unchanged; nothing was queued.",
                next_step="abort it first (scan.abort).",
            )
        self._planned = plan()

    def _plan_scan(self, part: ScanPart[S], command: ScanAcquire | ScanStream) -> Callable[[], Frame]:
        part.check(command)
        self.dwell_time_s = command.dwell_time_s
        shape = (command.height_px, command.width_px)
        duration_s = command.dwell_time_s * shape[0] * shape[1]

        def take() -> Frame:
            shot = self._shoot(lambda scope: part.acquire(scope, command), duration_s)
            return self._frames.scanned(part.stream, shot, shape)

        return take

    def _plan_camera(self, camera: CameraPart[S], command: CameraAcquire) -> Callable[[], Frame]:
        camera.check(command)

        def take() -> Frame:
            shot = self._shoot(lambda scope: camera.acquire(scope, command), command.exposure_s)
            return self._frames.camera(camera.stream, shot, command.binning)

        return take

    def _take_frame(self) -> int:
        self.sessions.require()
        if self._planned is None:
            raise CommandRefusedError(
                "No frame was asked for.", safe="nothing was acquired.", next_step="send scan.acquire."
            )
        frame = self._planned()
        self._sink(frame)
        return frame.header.sequence

    def _shoot(self, acquire: Callable[[S], NDArray[Any]], duration_s: float) -> Shot:
        def work(scope: S) -> Shot:
            optics, stage = self._surroundings(scope)
            blanked = self._blanker.is_blanked(scope)
            began_utc, began_s = utc_now(), time.monotonic()
            array = acquire(scope)
            if blanked:
                self._blanker.require_still_blanked(scope)
            return Shot(array, optics, stage, began_utc, began_s)

        # Scanners fly back and cameras read out: what a frame takes beyond its exposure differs widely.
        return self._lane.call(work, limit_s=2 * duration_s + self._overhead_s)

    def _camera(self, name: str) -> CameraPart[S]:
        for camera in self._scope.cameras:
            if camera.name == name:
                return camera
        raise CommandRefusedError(
            f"There is no camera {name!r}.",
            safe="nothing was acquired.",
            next_step=f"use one of {', '.join(camera.name for camera in self._scope.cameras)}.",
        )

    def _reference(self, stream: str, sequence: int) -> FrameReference:
        session = self.sessions.require().name
        return FrameReference(instrument=self._instrument, session=session, stream=stream, sequence=sequence)
