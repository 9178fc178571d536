"""What can be chosen about the twin. Metres, seconds, amperes, volts, radians."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import FrozenModel

from .._options import DriverOptions

__all__ = ["ColumnOptions", "DetectorOptions", "SpecimenOptions", "StageOptions", "TwinOptions"]

_Share = Annotated[float, Field(ge=0, le=1)]
_DriftRate = Annotated[float, Field(ge=-1e-9, le=1e-9)]


class SpecimenOptions(FrozenModel):
    """The crystal and what happens to it.

    `drift_m_per_s` is the drift of the specimen (y, x) in scan time. An atom of the host species of
    vacancies is ejected with the probability `1 - exp(-knock_on_cross_section_m2 * fluence)`; the
    default is 1.8 barn, measured for sulphur in MoS2 at 80 kV (Komsa et al., PRL 109, 035503, 2012).
    """

    extent_m: Annotated[float, Field(ge=5e-9, le=4e-7)] = 60e-9
    rotation_rad: Annotated[float, Field(ge=-6.3, le=6.3)] | None = None
    vacancy_fraction: _Share = 0.03
    divacancy_share: _Share = 0.25
    dopant_fraction: _Share = 0.05
    drift_m_per_s: tuple[_DriftRate, _DriftRate] = (2e-12, 1e-12)
    knock_on_cross_section_m2: Annotated[float, Field(ge=0, le=1e-22)] = 1.8e-28


class StageOptions(FrozenModel):
    """How far the stage lies: backlash (full width), repeatability (rms), encoder step, speed, settling."""

    backlash_m: Annotated[float, Field(ge=0, le=1e-7)] = 0.6e-9
    repeatability_m: Annotated[float, Field(ge=0, le=1e-7)] = 0.1e-9
    encoder_quantum_m: Annotated[float, Field(gt=0, le=1e-7)] = 50e-12
    speed_m_per_s: Annotated[float, Field(gt=0, le=1e-3)] = 200e-9
    settle_time_s: Annotated[float, Field(ge=0, le=10)] = 0.05


class ColumnOptions(FrozenModel):
    """Illumination and scan as the twin wakes up; names as in `eucentric_models.ImagingConditions`."""

    high_tension_v: Annotated[float, Field(ge=1e3, le=3e5)] = 80e3
    field_of_view_m: Annotated[float, Field(ge=5e-10, le=4e-7)] = 10e-9
    probe_sigma_m: Annotated[float, Field(ge=5e-12, le=2e-9)] = 45e-12
    defocus_m: Annotated[float, Field(ge=-5e-7, le=5e-7)] = 0.0
    convergence_angle_rad: Annotated[float, Field(gt=0, le=0.1)] = 25e-3
    astigmatism_m: Annotated[float, Field(ge=0, le=1e-6)] = 0.0
    astigmatism_angle_rad: Annotated[float, Field(ge=-3.15, le=3.15)] = 0.0
    tail_fraction: Annotated[float, Field(ge=0, le=0.9)] = 0.15
    tail_width_ratio: Annotated[float, Field(ge=1, le=10)] = 3.0
    beam_current_a: Annotated[float, Field(gt=0, le=1e-7)] = 30e-12
    jitter_rms_px: Annotated[float, Field(ge=0, le=20)] = 0.2


class DetectorOptions(FrozenModel):
    """The annular detector; names as in `eucentric_models.ImagingConditions`."""

    background_fraction: _Share = 1e-3
    collection_efficiency: Annotated[float, Field(gt=0, le=1)] = 0.9
    detector_gain_counts_per_electron: Annotated[float, Field(gt=0, le=1e6)] = 50.0
    detector_offset_counts: Annotated[float, Field(ge=0, le=1e6)] = 500.0
    detector_noise_counts: Annotated[float, Field(ge=0, le=1e6)] = 10.0
    output: Literal["uint16", "float32"] = "uint16"


class TwinOptions(DriverOptions):
    """Options of the driver `twin`. The same seed and the same commands give the same frames.

    With `real_time` a frame takes as long as its dwell times add up to; without it, as long as it takes
    to compute.
    """

    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    material: Literal["mos2", "graphene"] = "mos2"
    real_time: bool = False
    specimen: SpecimenOptions = SpecimenOptions()
    stage: StageOptions = StageOptions()
    column: ColumnOptions = ColumnOptions()
    detector: DetectorOptions = DetectorOptions()
