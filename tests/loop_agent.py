"""Steering a real agent for the loop's tests: its twin scans all the time, also after it was killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from eucentric_core import AgentSettings, EucentricError, SteeringClient, connect
from eucentric_core.vocabulary import ScanStream

__all__ = ["scanning"]

_BEAM_ON_S = 600.0
_LOOK_S = 0.5
_FRAMES_PER_S = 4.0


@contextmanager
def scanning(agent: AgentSettings, *, shape: tuple[int, int], dwell_time_s: float) -> Iterator[None]:
    """Have the agent scan inside the block; one that was killed scans again once it is back.

    Args:
        agent: where it listens.
        shape: (ny, nx) of the frames.
        dwell_time_s: per pixel.
    """
    stopping = threading.Event()
    scan = ScanStream(
        height_px=shape[0], width_px=shape[1], dwell_time_s=dwell_time_s, max_frames_per_s=_FRAMES_PER_S
    )

    def steer() -> None:
        while not stopping.wait(_LOOK_S):
            try:
                _scan_until_lost(agent, scan, stopping)
            except EucentricError:
                continue  # it was killed, and is not back yet

    thread = threading.Thread(target=steer, name="steering")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _scan_until_lost(agent: AgentSettings, scan: ScanStream, stopping: threading.Event) -> None:
    with (
        connect("127.0.0.1", agent.control_port, client="scan", data_port=agent.data_port) as scope,
        scope.control(reason="the loop's tests"),
    ):
        while not stopping.is_set():
            _begin_anew(scope, scan)
            stopping.wait(_LOOK_S)


def _begin_anew(scope: SteeringClient, scan: ScanStream) -> None:
    state = scope.state()
    if state.session is None:
        # What a killed agent had open was closed when it came back.
        scope.start_session(f"scan-{uuid4().hex[:8]}", material="mos2")
    if not state.scanning or state.beam_blanked:
        scope.unblank(max_duration_s=_BEAM_ON_S)
        scope.stream(scan)
