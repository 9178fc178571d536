"""Frames for the tests of every room."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from eucentric_core import Axis, Frame, FrameHeader, Optics, StagePosition, utc_now

__all__ = ["build_frame", "frame_around"]


def frame_around(
    array: npt.NDArray[Any],
    sequence: int,
    stream: str = "haadf",
    *,
    pixel_size_m: float = 2e-11,
    offset_m: float = 0.0,
    **header: Any,
) -> Frame:
    """A simulated frame with this array. Images `(ny, nx)` are calibrated; `header` replaces any field."""
    calibrated = array.ndim == 2 and stream != "truth"
    axes = [Axis(name=name, unit="m", scale=pixel_size_m, offset=offset_m) for name in "yx"]
    width_px = max(1, array.shape[-1]) if calibrated else 16
    fields: dict[str, Any] = {
        "instrument": "twin",
        "session": "s1",
        "stream": stream,
        "sequence": sequence,
        "acquired_utc": utc_now(),
        "acquired_monotonic_s": float(sequence),
        "shape": array.shape,
        "dtype": array.dtype.name,
        "simulated": True,
        "axes": tuple(axes) if calibrated else (),
        "optics": Optics(
            high_tension_v=60e3,
            beam_current_a=3e-11,
            convergence_angle_rad=0.03,
            defocus_m=0.0,
            field_of_view_m=width_px * pixel_size_m,
            dwell_time_s=1e-6,
        ),
        "stage": StagePosition(),
        "dose_e_per_a2": 100.0,
        "material": "mos2",
    }
    return Frame(FrameHeader(**{**fields, **header}), array)


def build_frame(
    sequence: int = 0,
    stream: str = "haadf",
    *,
    shape: tuple[int, ...] | None = None,
    dtype: str = "float32",
    **header: Any,
) -> Frame:
    """A frame whose array depends on stream and sequence alone; a `truth` has `sequence` modulo 5 columns."""
    if shape is None:
        shape = (sequence % 5, 3) if stream == "truth" else (12, 16)
    if stream == "truth":
        header = {"classes": ("mo", "s"), **header}
    values = np.random.default_rng([sequence, len(stream)]).random(shape, dtype=np.float32)
    counts = 1 if np.issubdtype(dtype, np.floating) else 200
    return frame_around(np.asarray(values * counts).astype(dtype), sequence, stream, **header)
