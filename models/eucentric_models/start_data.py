"""Synthetic frames to train on before an instrument has delivered any."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from .crystal import build_crystal, material_named
from .image_formation import ImagingConditions, form_frame


class ConditionsSpread(BaseModel):
    """How far simulated conditions scatter around a centre.

    Attributes:
        relative: pixel size, probe width and beam current are scaled by up to exp(+-relative).
        defocus_m: rms of the defocus added.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    relative: float = Field(default=0.08, ge=0, le=1)
    defocus_m: float = Field(default=0.8e-9, ge=0, le=1e-7)


class LabelledFrame(NamedTuple):
    """A simulated frame with truth and calibration.

    Attributes:
        frame: (ny, nx) raw counts.
        truth: (n, 3) float32 rows ``y_px, x_px, class_id``.
        conditions: what it was taken with.
    """

    frame: NDArray[np.uint16] | NDArray[np.float32]
    truth: NDArray[np.float32]
    conditions: ImagingConditions


def simulate_frames(
    material: str,
    conditions: ImagingConditions,
    count: int,
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    spread: ConditionsSpread | None = None,
) -> list[LabelledFrame]:
    """Frames of freshly grown, randomly rotated crystals.

    Args:
        material: key of :data:`eucentric_models.MATERIALS`.
        conditions: centre of the imaging conditions.
        count: number of frames.
        shape: ``(ny, nx)``.
        rng: source of crystals, conditions and noise.
        spread: scatter of the conditions from frame to frame; None keeps them exactly.

    Raises:
        UnknownMaterialError: there is no such material.
    """
    chosen = material_named(material)
    frames = []
    for _ in range(count):
        actual = conditions if spread is None else vary_conditions(conditions, spread, rng)
        # A nanometre more than the field of view: columns just outside still shine into the frame.
        extent_m = (shape[0] * actual.pixel_size_m + 1e-9, shape[1] * actual.pixel_size_m + 1e-9)
        simulated = form_frame(build_crystal(chosen, extent_m, rng), actual, shape, rng)
        frames.append(LabelledFrame(simulated.frame, simulated.truth, actual))
    return frames


def vary_conditions(
    conditions: ImagingConditions, spread: ConditionsSpread, rng: np.random.Generator
) -> ImagingConditions:
    """Conditions scattered around a centre."""
    factors = np.exp(rng.uniform(-spread.relative, spread.relative, size=3))
    return ImagingConditions(
        **{
            **conditions.model_dump(),
            "pixel_size_m": conditions.pixel_size_m * factors[0],
            "probe_sigma_m": conditions.probe_sigma_m * factors[1],
            "beam_current_a": conditions.beam_current_a * factors[2],
            "defocus_m": conditions.defocus_m + rng.normal(0, spread.defocus_m),
        }
    )
