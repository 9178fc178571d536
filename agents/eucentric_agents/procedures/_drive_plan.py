"""How features are driven to, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import Capabilities, ErrorReport, Frame, FrozenModel

from ._exposure import Exposure
from ._geometry import StageGeometry
from ._matching import Matching
from ._stage_facts import StageFacts

__all__ = ["DrivePlan", "DriveResult", "FeatureVisit"]

_Length = Annotated[float, Field(gt=0, le=1e-3)]


class DrivePlan(FrozenModel):
    """How to bring a feature of an overview into the middle of the field.

    The overview is taken with `overview`; each look at where the stage has come to with the same exposure
    at a field of view `verify_zoom` times smaller; the picture of the feature with `final`.

    A feature counts as reached once it is measured within three quarters of `tolerance_m` of the middle (the
    rest is for what the measurement cannot see), or within all of it after `max_corrections`. Corrections
    are made by beam shift where the instrument has it and the shift stays within `max_beam_shift_m`, else
    by the stage, which then approaches always from the same side, from `approach_m` away (None: twice the
    tolerance that the stage states), so that backlash does not swallow the correction; `corrector` forces
    one or the other. `search_m` is how far the stage may be off at first (None: three times its stated
    tolerance). With `keep_going` a feature that cannot be reached is recorded and the next one visited.
    """

    overview: Exposure = Exposure()
    final: Exposure
    verify_zoom: Annotated[float, Field(ge=1, le=8)] = 3.0
    tolerance_m: _Length = 2e-9
    max_corrections: Annotated[int, Field(ge=0, le=50)] = 8
    corrector: Literal["auto", "stage", "beam"] = "auto"
    max_beam_shift_m: _Length = 1e-7
    approach_m: Annotated[float, Field(ge=0, le=1e-4)] | None = None
    search_m: _Length | None = None
    geometry: StageGeometry = StageGeometry()
    matching: Matching = Matching()
    keep_going: bool = False

    def may_shift(self, capabilities: Capabilities) -> bool:
        """Whether corrections are made by beam shift on such an instrument."""
        return self.corrector == "beam" or (self.corrector == "auto" and "beam.shift" in capabilities.verbs)


@dataclass(frozen=True, slots=True)
class FeatureVisit:
    """What became of one feature of the overview, at (`y_px`, `x_px`) there.

    `offset_m` is how far (x, y) in stage axes it was last measured from the middle of the field;
    `beam_shift_m` the shift that holds it there. `frame` shows it, or `error` says why it was not reached.
    """

    y_px: float
    x_px: float
    corrections: int
    offset_m: tuple[float, float] | None
    beam_shift_m: tuple[float, float]
    stage: StageFacts
    frame: Frame | None
    error: ErrorReport | None

    @property
    def reached(self) -> bool:
        """Whether it lies in the middle, within the tolerance."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class DriveResult:
    """The overview, and the visit to each of its features in order."""

    overview: Frame
    visits: tuple[FeatureVisit, ...]

    @property
    def reached(self) -> tuple[FeatureVisit, ...]:
        """The features that were reached."""
        return tuple(visit for visit in self.visits if visit.reached)
