"""Beam-position feedback: the beam stays at a place until the detector passes a threshold.

The way of atomic-scale beam control: park the probe, watch a detector, and move on (or stop) once what is
watched has changed (Jesse et al., Small 14, 1702615, 2018; Dyck et al., Nat. Rev. Mater. 4, 497, 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self, cast

from pydantic import Field, JsonValue, model_validator

from eucentric_core import FrozenModel, Microscope

from ._checkpoint import StepRecord
from ._run import Procedure, Steps
from ._spectra import EnergyWindow, SpectrumExposure, window_share

__all__ = ["BeamFeedback", "BeamVisit", "FeedbackPlan"]

_Fraction = Annotated[float, Field(ge=0, le=1)]


class FeedbackPlan(FrozenModel):
    """Places in the field of view, and what the detector must show there.

    A reading is the share of a spectrum inside `window`. At each place readings are taken until one is
    `above` or `below` its threshold, `max_readings` at most; then the beam goes on to the next place, or with
    `then = "stop"` the first place whose threshold is passed ends it. Between readings the beam is blanked.

    Attributes:
        places: (y, x) as fractions of the field of view from the top left corner.
    """

    places: Annotated[tuple[tuple[_Fraction, _Fraction], ...], Field(min_length=1, max_length=10_000)] = (
        (0.5, 0.5),
    )
    reading: SpectrumExposure = SpectrumExposure()
    window: EnergyWindow = EnergyWindow()
    above: Annotated[float, Field(ge=0, le=1)] | None = None
    below: Annotated[float, Field(ge=0, le=1)] | None = None
    max_readings: Annotated[int, Field(ge=1, le=10_000)] = 10
    then: Literal["next", "stop"] = "next"

    @model_validator(mode="after")
    def _has_threshold(self) -> Self:
        if self.above is None and self.below is None:
            raise ValueError("give a threshold: above or below")
        return self

    def passed(self, reading: float) -> bool:
        """Whether a reading passes a threshold."""
        return (self.above is not None and reading >= self.above) or (
            self.below is not None and reading <= self.below
        )


@dataclass(frozen=True, slots=True)
class BeamVisit:
    """What was read at one place (fractions of the field), and whether a threshold was passed."""

    y_fraction: float
    x_fraction: float
    readings: tuple[float, ...]
    passed: bool


class BeamFeedback(Procedure[tuple[BeamVisit, ...]]):
    """Visits the places of a plan in their order.

    Args:
        plan: what to do.
    """

    name = "beam-feedback"

    def __init__(self, plan: FeedbackPlan) -> None:
        self.plan = plan

    def parameters(self) -> Mapping[str, JsonValue]:
        """The plan."""
        return {"plan": self.plan.model_dump(mode="json")}

    def perform(self, scope: Microscope, steps: Steps) -> tuple[BeamVisit, ...]:
        """Visit; every place is a step, so that none is exposed a second time after a crash."""
        plan = self.plan
        steps.total = len(plan.places)
        visits: list[BeamVisit] = []
        for number, (y_fraction, x_fraction) in enumerate(plan.places):

            def work(y: float = y_fraction, x: float = x_fraction) -> StepRecord:
                readings: list[float] = []
                while len(readings) < plan.max_readings and not (readings and plan.passed(readings[-1])):
                    spectrum = plan.reading.take(scope, y_fraction=y, x_fraction=x)
                    readings.append(window_share(spectrum, plan.window))
                return StepRecord({"readings": list(readings)})

            done = steps.do(f"place {number}", work)
            readings = tuple(cast(list[float], done.facts["readings"]))
            visits.append(BeamVisit(y_fraction, x_fraction, readings, plan.passed(readings[-1])))
            if visits[-1].passed and plan.then == "stop":
                break
        return tuple(visits)
