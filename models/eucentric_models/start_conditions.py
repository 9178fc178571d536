"""What a first model is trained for: specimen, frames, imaging conditions and architecture."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from .decoding import DEFAULT_DECODING, Decoding
from .image_formation import ImagingConditions
from .network_spec import NetworkSpec
from .preprocessing import DEFAULT_PREPROCESSING, Preprocessing
from .start_data import ConditionsSpread

_FOLDED_PIXEL_M = 75e-12
_STEMS = (16, 8, 4, 2, 1)
_PEAK_SIGMA_M = 36e-12
_SEPARATION_M = 75e-12
_JITTER_M = 12e-12


class StartConditions(BaseModel):
    """Specimen, frames and imaging conditions that a first model is trained for; plain JSON.

    Attributes:
        material: key of :data:`eucentric_models.START_MATERIALS`.
        shape: ``(ny, nx)`` of a frame.
        initial: centre of the imaging conditions.
        start_spread: scatter of the start data around the initial conditions.
        start_frames: number of simulated start frames.
        start_steps: optimiser steps of a member's first training.
        network: architecture of a member.
        preprocessing: normalisation.
        decoding: width, height and separation of the peaks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    material: str
    shape: tuple[int, int]
    initial: ImagingConditions
    start_spread: ConditionsSpread
    start_frames: int = Field(ge=10, le=100_000)
    start_steps: int = Field(default=170, ge=10, le=1_000_000)
    network: NetworkSpec
    preprocessing: Preprocessing = DEFAULT_PREPROCESSING
    decoding: Decoding = DEFAULT_DECODING


def conditions_for(
    pixel_size_m: float, shape: tuple[int, int] = (256, 256), *, start_frames: int = 96
) -> StartConditions:
    """Start conditions for recorded annular dark-field frames of unknown specimens.

    Only the pixel size is taken from the recording; probe width, dose, jitter and specimen are spread as
    widely as recordings of crystals on a zone axis differ.  The stem folds as many pixels as make about the
    width of a probe, so that a network sees the same neighbourhood of a column at any magnification.

    Args:
        pixel_size_m: of the recording, in [2e-12, 6e-11]; beyond that columns are not sampled.
        shape: ``(ny, nx)`` of the frames that will be analysed.
        start_frames: number of simulated frames.

    Raises:
        ValueError: the pixel size is out of bounds.
    """
    if not 2e-12 <= pixel_size_m <= 6e-11:
        raise ValueError(f"pixel_size_m must be within [2e-12, 6e-11] m to show columns, got {pixel_size_m}")
    stem = next(factor for factor in _STEMS if factor == 1 or factor * pixel_size_m <= _FOLDED_PIXEL_M)
    return StartConditions(
        material="columns",
        shape=shape,
        initial=ImagingConditions(
            pixel_size_m=pixel_size_m,
            probe_sigma_m=55e-12,
            beam_current_a=100e-12,
            # The same dose per area at any pixel size, as far as scan generators allow.
            dwell_time_s=min(max(8e-6 * (pixel_size_m / 1e-11) ** 2, 5e-7), 1e-3),
            output="float32",
        ),
        start_spread=ConditionsSpread(
            pixel_size=0.12,
            probe_width=0.5,
            beam_current=2.3,
            defocus_m=0.8e-9,
            jitter_rms_px=min(_JITTER_M / pixel_size_m, 2.0),
        ),
        start_frames=start_frames,
        start_steps=240,
        network=NetworkSpec(n_classes=1, base_filters=24, depth=1, stem_factor=stem),
        decoding=Decoding(
            peak_sigma_px=max(_PEAK_SIGMA_M / pixel_size_m, 1.2),
            threshold=0.6,
            min_distance_px=max(round(_SEPARATION_M / pixel_size_m), 2),
        ),
    )
