"""The frames of a flight check: few, small, simulated, and the same for the same date."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from eucentric_core import Axis, Frame, FrameHeader, Optics, StagePosition, utc_now

__all__ = ["FRAMES", "MATERIAL", "STREAM", "check_frames", "flight_check_instrument"]

FRAMES = 8
STREAM = "flight_check"
MATERIAL = "flight-check"
_SIDE_PX = 128
_PIXEL_SIZE_M = 20e-12
_SUFFIX = "-flight-check"


def flight_check_instrument(agent: str) -> str:
    """The instrument a flight check records as: not the agent's own, whose open session it must not touch."""
    return f"{agent}{_SUFFIX}"


def check_frames(instrument: str, session: str, *, seed: int) -> Iterator[Frame]:
    """`FRAMES` frames of counts, shape `(128, 128)` uint16, marked as simulated.

    The stream has a name of its own, so that neither edge nor dashboard takes them for a specimen.
    """
    random = np.random.default_rng(seed)
    unknown = Optics(
        high_tension_v=None,
        beam_current_a=None,
        convergence_angle_rad=None,
        defocus_m=None,
        field_of_view_m=_SIDE_PX * _PIXEL_SIZE_M,
        dwell_time_s=None,
    )
    for sequence in range(FRAMES):
        yield Frame(
            FrameHeader(
                instrument=instrument,
                session=session,
                stream=STREAM,
                sequence=sequence,
                acquired_utc=utc_now(),
                acquired_monotonic_s=time.monotonic(),
                shape=(_SIDE_PX, _SIDE_PX),
                dtype="uint16",
                simulated=True,
                axes=(
                    Axis(name="y", unit="m", scale=_PIXEL_SIZE_M),
                    Axis(name="x", unit="m", scale=_PIXEL_SIZE_M),
                ),
                optics=unknown,
                stage=StagePosition(),
                dose_e_per_a2=None,
                sample=MATERIAL,
                material=MATERIAL,
            ),
            random.poisson(200.0, (_SIDE_PX, _SIDE_PX)).astype(np.uint16),
        )
