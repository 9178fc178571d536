"""What can be chosen about the twin. Metres, seconds, amperes, volts, radians."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from eucentric_core import FrozenModel
from eucentric_models.landscape import LandscapeRecipe

from .._options import DriverOptions
from ._faults import FaultOptions

__all__ = ["ColumnOptions", "DetectorOptions", "SpecimenOptions", "StageOptions", "TwinOptions"]

_Share = Annotated[float, Field(ge=0, le=1)]
_DriftRate = Annotated[float, Field(ge=-1e-9, le=1e-9)]

_LANDSCAPE = "gold_on_carbon"
_MAX_LATTICE_M = 4e-7


class SpecimenOptions(FrozenModel):
    """The specimen and what happens to it.

    `extent_m` is the length of its edge; left out, 60 nm of lattice or 20 um of landscape.
    `drift_m_per_s` is the drift of the specimen (y, x) in scan time. An atom of the host species of
    vacancies is ejected with the probability `1 - exp(-knock_on_cross_section_m2 * fluence)`; the
    default is 1.8 barn, measured for sulphur in MoS2 at 80 kV (Komsa et al., PRL 109, 035503, 2012).
    Defects and damage are those of a lattice.
    """

    extent_m: Annotated[float, Field(ge=5e-9, le=5e-5)] | None = None
    rotation_rad: Annotated[float, Field(ge=-6.3, le=6.3)] | None = None
    vacancy_fraction: _Share = 0.03
    divacancy_share: _Share = 0.25
    dopant_fraction: _Share = 0.05
    drift_m_per_s: tuple[_DriftRate, _DriftRate] = (2e-12, 1e-12)
    knock_on_cross_section_m2: Annotated[float, Field(ge=0, le=1e-22)] = 1.8e-28


class StageOptions(FrozenModel):
    """How far the stage lies: backlash (full width), repeatability (rms), encoder step, speed, settling."""

    backlash_m: Annotated[float, Field(ge=0, le=1e-6)] = 0.6e-9
    repeatability_m: Annotated[float, Field(ge=0, le=1e-6)] = 0.1e-9
    encoder_quantum_m: Annotated[float, Field(gt=0, le=1e-7)] = 50e-12
    speed_m_per_s: Annotated[float, Field(gt=0, le=1e-3)] = 200e-9
    settle_time_s: Annotated[float, Field(ge=0, le=10)] = 0.05
    tilt_limit_rad: Annotated[float, Field(ge=0, le=1.2)] = 0.52
    tilt_backlash_rad: Annotated[float, Field(ge=0, le=0.05)] = 5e-4
    tilt_repeatability_rad: Annotated[float, Field(ge=0, le=0.05)] = 1e-4
    tilt_speed_rad_per_s: Annotated[float, Field(gt=0, le=100)] = 0.5


class ColumnOptions(FrozenModel):
    """Illumination and scan as the twin wakes up; names as in `eucentric_models.ImagingConditions`.

    `field_of_view_m` left out is 10 nm of lattice or 1 um of landscape. A beam shift is too long by
    `beam_shift_error` of its length. The automatic focus takes `autofocus_time_s` and is off by
    `autofocus_error_m` (rms).
    """

    high_tension_v: Annotated[float, Field(ge=1e3, le=3e5)] = 80e3
    field_of_view_m: Annotated[float, Field(ge=5e-10, le=5e-5)] | None = None
    probe_sigma_m: Annotated[float, Field(ge=5e-12, le=2e-9)] = 45e-12
    defocus_m: Annotated[float, Field(ge=-5e-7, le=5e-7)] = 0.0
    convergence_angle_rad: Annotated[float, Field(gt=0, le=0.1)] = 25e-3
    astigmatism_m: Annotated[float, Field(ge=0, le=1e-6)] = 0.0
    astigmatism_angle_rad: Annotated[float, Field(ge=-3.15, le=3.15)] = 0.0
    tail_fraction: Annotated[float, Field(ge=0, le=0.9)] = 0.15
    tail_width_ratio: Annotated[float, Field(ge=1, le=10)] = 3.0
    beam_current_a: Annotated[float, Field(gt=0, le=1e-7)] = 30e-12
    jitter_rms_px: Annotated[float, Field(ge=0, le=20)] = 0.2
    spherical_aberration_m: Annotated[float, Field(ge=-5e-3, le=5e-3)] = 1e-6
    beam_shift_error: Annotated[float, Field(ge=-0.5, le=0.5)] = 0.01
    autofocus_time_s: Annotated[float, Field(ge=0, le=60)] = 0.3
    autofocus_error_m: Annotated[float, Field(ge=0, le=1e-7)] = 1e-9


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
    to compute. `gold_on_carbon` is a landscape of nanoparticles instead of a lattice. `journal` is where
    the simulated hardware writes down what it was told.
    """

    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    material: Literal["mos2", "graphene", "gold_on_carbon"] = "mos2"
    real_time: bool = False
    specimen: SpecimenOptions = SpecimenOptions()
    landscape: LandscapeRecipe = LandscapeRecipe()
    stage: StageOptions = StageOptions()
    column: ColumnOptions = ColumnOptions()
    detector: DetectorOptions = DetectorOptions()
    faults: FaultOptions = FaultOptions()
    journal: Path | None = None

    @property
    def is_landscape(self) -> bool:
        """Whether the specimen is a landscape and not a lattice."""
        return self.material == _LANDSCAPE

    @property
    def extent_m(self) -> float:
        """Length of the specimen's edge."""
        return self.specimen.extent_m or (2e-5 if self.is_landscape else 6e-8)

    @property
    def field_of_view_m(self) -> float:
        """Field of view at the start."""
        return self.column.field_of_view_m or (1e-6 if self.is_landscape else 1e-8)

    @model_validator(mode="after")
    def _affordable(self) -> Self:
        if self.is_landscape:
            if self.extent_m < 1e-7:
                raise ValueError("specimen.extent_m of a landscape is at least 1e-7 m")
        elif self.extent_m > _MAX_LATTICE_M:
            raise ValueError(f"specimen.extent_m of a lattice is at most {_MAX_LATTICE_M:g} m")
        return self
