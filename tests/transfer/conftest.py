"""Frames for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from eucentric_core import Axis, Frame, FrameHeader, Optics, StagePosition, utc_now

MakeFrame = Callable[..., Frame]


@pytest.fixture
def make_frame() -> MakeFrame:
    """Builds a frame whose array depends on stream and sequence alone."""

    def make(
        sequence: int,
        stream: str = "haadf",
        *,
        shape: tuple[int, ...] = (12, 16),
        dtype: str = "float32",
        session: str = "s1",
        pixel_size_m: float | None = 2e-11,
        offset_m: float = 0.0,
    ) -> Frame:
        calibrated = pixel_size_m is not None and len(shape) == 2
        axes = (
            [Axis(name=n, unit="m", scale=pixel_size_m or 1, offset=offset_m) for n in "yx"]
            if calibrated
            else []
        )
        header = FrameHeader(
            instrument="twin",
            session=session,
            stream=stream,
            sequence=sequence,
            acquired_utc=utc_now(),
            acquired_monotonic_s=float(sequence),
            shape=shape,
            dtype=dtype,
            simulated=True,
            axes=tuple(axes),
            optics=Optics(
                high_tension_v=60e3,
                beam_current_a=3e-11,
                convergence_angle_rad=0.03,
                defocus_m=0.0,
                field_of_view_m=3.2e-10,
                dwell_time_s=1e-6,
            ),
            stage=StagePosition(),
            dose_e_per_a2=100.0,
        )
        values = np.random.default_rng([sequence, len(stream)]).uniform(0, 200, shape)
        return Frame(header, np.asarray(values).astype(dtype))

    return make
