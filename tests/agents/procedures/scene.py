"""What the procedures' tests share: a twin over a landscape, and pictures whose displacement is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric_agents.drivers import FrameSink
from eucentric_agents.procedures import DirectMicroscope, Exposure, MontagePlan, MontageResult
from eucentric_core import AgentSettings, Axis, Frame, FrameHeader, Optics, StagePosition, utc_now

Image = NDArray[np.float64]

FIELD_M = 1e-6
SIDE_PX = 256
PIXEL_M = FIELD_M / SIDE_PX
EXPOSURE = Exposure(height_px=SIDE_PX, width_px=SIDE_PX, dwell_time_s=1e-6, field_of_view_m=FIELD_M)

QUICK_STAGE: dict[str, Any] = {"speed_m_per_s": 1e-3, "settle_time_s": 0.0}
WORN_STAGE: dict[str, Any] = {**QUICK_STAGE, "backlash_m": 80e-9, "repeatability_m": 4e-9}
"""Twenty pixels of backlash, one pixel of scatter."""


def landscape(seed: int, stage: dict[str, Any], **more: Any) -> AgentSettings:
    """A twin over gold on carbon that does not drift."""
    driver = {
        "material": "gold_on_carbon",
        "seed": seed,
        "specimen": {"extent_m": 8e-6, "drift_m_per_s": [0.0, 0.0]},
        "column": {"field_of_view_m": FIELD_M},
        "stage": stage,
        **more,
    }
    return AgentSettings(name="scope", instrument="twin", driver=driver)


def opened(settings: AgentSettings, *, forward: FrameSink | None = None) -> DirectMicroscope:
    """The instrument with a session open."""
    scope = DirectMicroscope.open(settings, forward=forward)
    scope.start_session("s")
    return scope


def small_plan(rows: int = 2, columns: int = 2, **more: Any) -> MontagePlan:
    """A montage of few pixels."""
    return MontagePlan(
        rows=rows,
        columns=columns,
        exposure=EXPOSURE.model_copy(update={"height_px": 128, "width_px": 128}),
        **more,
    )


def error_rms_px(result: MontageResult, *, of: str) -> float:
    """RMS distance of tile positions (`solved` or `reported`) from the true ones, but for a common shift."""
    actual = np.array([(tile.stage.actual_x_m, tile.stage.actual_y_m) for tile in result.tiles], np.float64)
    if of == "solved":
        believed = np.array([(tile.x_m, tile.y_m) for tile in result.tiles])
    else:
        believed = np.array([(tile.stage.reported_x_m, tile.stage.reported_y_m) for tile in result.tiles])
    wrong = (believed - actual) / result.frame.header.pixel_size_m
    wrong -= wrong.mean(axis=0)
    return float(np.sqrt(np.mean(np.sum(wrong**2, axis=1))))


def film(rng: np.random.Generator, side_px: int = 640, blobs: int = 250) -> Image:
    """A picture of irregular blobs, (side_px, side_px)."""
    rows, columns = np.indices((21, 21)) - 10
    blob = np.exp(-(rows**2 + columns**2) / 18.0)
    picture = np.zeros((side_px + 20, side_px + 20))
    for y, x, height in zip(*rng.integers(0, side_px, (2, blobs)), rng.uniform(0.3, 1, blobs), strict=True):
        picture[y : y + 21, x : x + 21] += height * blob
    return picture[10:-10, 10:-10]


def noisy(picture: Image, rng: np.random.Generator) -> Image:
    """The picture as a few electrons show it."""
    return rng.poisson(20 * picture + 2).astype(np.float64)


def frame_of(picture: Image, *, sequence: int = 0, pixel_m: float = PIXEL_M) -> Frame:
    """A calibrated frame of a picture."""
    array = picture.astype(np.float32)
    header = FrameHeader(
        instrument="scope",
        session="s",
        stream="haadf",
        sequence=sequence,
        acquired_utc=utc_now(),
        acquired_monotonic_s=0.0,
        shape=array.shape,
        dtype="float32",
        simulated=True,
        axes=(Axis(name="y", unit="m", scale=pixel_m), Axis(name="x", unit="m", scale=pixel_m)),
        optics=Optics(
            high_tension_v=None,
            beam_current_a=None,
            convergence_angle_rad=None,
            defocus_m=None,
            field_of_view_m=array.shape[1] * pixel_m,
            dwell_time_s=None,
        ),
        stage=StagePosition(),
        dose_e_per_a2=None,
    )
    return Frame(header, array)


def finished_steps(checkpoint: Path) -> set[str]:
    """Names of the files of the finished steps."""
    return {path.name for path in checkpoint.glob("[0-9]*.json")}
