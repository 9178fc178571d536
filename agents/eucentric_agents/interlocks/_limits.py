"""The limits of one instrument, as the file on its control PC states them. SI units and radians."""

from __future__ import annotations

from math import pi
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from eucentric_core import FrozenModel

__all__ = [
    "BeamLimits",
    "DetectorLimits",
    "DoseLimits",
    "KeepOut",
    "Limits",
    "MoveRateLimits",
    "StageEnvelope",
]


def _bounded(**bounds: Any) -> Any:
    return Field(strict=True, **bounds)


def _in_order(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError("the lowest value comes first")
    return span


_Length = Annotated[float, _bounded(ge=-5e-3, le=5e-3)]
_Angle = Annotated[float, _bounded(ge=-pi / 2, le=pi / 2)]
_LengthSpan = Annotated[tuple[_Length, _Length], AfterValidator(_in_order)]
_AngleSpan = Annotated[tuple[_Angle, _Angle], AfterValidator(_in_order)]
_Seconds = Annotated[float, _bounded(gt=0, le=1e7)]
_Dose = Annotated[float, _bounded(gt=0, le=1e15)]


class _Spans(FrozenModel):
    """A range per stage axis; None: the axis is not restricted."""

    x_m: _LengthSpan | None = None
    y_m: _LengthSpan | None = None
    z_m: _LengthSpan | None = None
    alpha_rad: _AngleSpan | None = None
    beta_rad: _AngleSpan | None = None

    @property
    def spans(self) -> tuple[tuple[float, float] | None, ...]:
        """The ranges in the order x, y, z, alpha, beta."""
        return self.x_m, self.y_m, self.z_m, self.alpha_rad, self.beta_rad


class KeepOut(_Spans):
    """A box that the stage must not enter, e.g. a pole piece or an inserted detector.

    An axis left out belongs to the box with all its length. Standing on its face is allowed.
    """

    name: Annotated[str, Field(min_length=1, max_length=60)]

    @model_validator(mode="after")
    def _has_an_inside(self) -> Self:
        given = [span for span in self.spans if span is not None]
        if not given or any(low >= high for low, high in given):
            raise ValueError(f"the box {self.name!r} has no inside: give each range as [low, high]")
        return self


class StageEnvelope(_Spans):
    """Where the stage may go, and how far at once.

    Args:
        max_tilt_rad: largest combined tilt, sqrt(alpha^2 + beta^2).
        z_at_full_tilt_m: largest |z| at that tilt; in between it shrinks linearly from the largest of `z_m`.
        max_step_m: longest way of one move, start to target in a straight line.
        max_tilt_step_rad: largest change of tilt in one move, likewise.
        keep_out: boxes to stay out of.
    """

    max_tilt_rad: Annotated[float, _bounded(gt=0, le=pi)] | None = None
    z_at_full_tilt_m: Annotated[float, _bounded(ge=0, le=5e-3)] | None = None
    max_step_m: Annotated[float, _bounded(gt=0, le=2e-2)] | None = None
    max_tilt_step_rad: Annotated[float, _bounded(gt=0, le=2 * pi)] | None = None
    keep_out: Annotated[tuple[KeepOut, ...], Field(max_length=64)] = ()

    @model_validator(mode="after")
    def _says_where_the_height_shrinks_from(self) -> Self:
        if self.z_at_full_tilt_m is not None and (self.max_tilt_rad is None or self.z_m is None):
            raise ValueError("z_at_full_tilt_m needs max_tilt_rad and z_m beside it")
        return self


class MoveRateLimits(FrozenModel):
    """How often the stage may be moved."""

    min_interval_s: Annotated[float, _bounded(gt=0, le=3600)] | None = None
    moves_per_minute: Annotated[int, _bounded(ge=1, le=10_000)] | None = None


class DoseLimits(FrozenModel):
    """How much of the beam the specimen may get.

    Args:
        region_e_per_a2: budget of each region of a session.
        session_e_per_a2: budget of a session, as the mean over the area it has scanned.
        region_beam_on_s: longest time the beam may rest on one region of a session, all visits together.
        session_beam_on_s: longest time the beam may be on in a session.
        region_size_m: side of the squares that doses are added up in.
        assumed_beam_current_a: counts wherever the instrument does not say its current.
        reaction_s: how long it may take from a decision until the beam is off; counted in advance.
    """

    region_e_per_a2: _Dose | None = None
    session_e_per_a2: _Dose | None = None
    region_beam_on_s: _Seconds | None = None
    session_beam_on_s: _Seconds | None = None
    region_size_m: Annotated[float, _bounded(ge=1e-9, le=5e-3)] = 1e-6
    assumed_beam_current_a: Annotated[float, _bounded(gt=0, le=1e-6)] | None = None
    reaction_s: Annotated[float, _bounded(ge=0.1, le=3)] = 0.25

    @property
    def need_current(self) -> bool:
        """Whether a budget is set that cannot be kept without knowing the beam current."""
        return self.region_e_per_a2 is not None or self.session_e_per_a2 is not None

    @property
    def set(self) -> bool:
        """Whether any budget is set, of dose or of time."""
        return self.need_current or self.region_beam_on_s is not None or self.session_beam_on_s is not None


class DetectorLimits(FrozenModel):
    """What the detectors stand.

    Args:
        max_electrons_per_pixel: beam current times dwell time, in electrons.
        max_beam_current_a: with the beam on the specimen.
        min_field_of_view_m: smallest field that may be chosen, and scanned.
    """

    max_electrons_per_pixel: Annotated[float, _bounded(gt=0, le=1e13)] | None = None
    max_beam_current_a: Annotated[float, _bounded(gt=0, le=1e-6)] | None = None
    min_field_of_view_m: Annotated[float, _bounded(gt=0, le=1e-2)] | None = None


class BeamLimits(FrozenModel):
    """How long one `beam.unblank` may last."""

    max_unblank_s: Annotated[float, _bounded(gt=0, le=3600)] | None = None


class Limits(FrozenModel):
    """All limits of one instrument. None: there is no such limit."""

    stage: StageEnvelope = StageEnvelope()
    rate: MoveRateLimits = MoveRateLimits()
    dose: DoseLimits = DoseLimits()
    detector: DetectorLimits = DetectorLimits()
    beam: BeamLimits = BeamLimits()
