"""`drive-to-feature`: find particles in an overview and bring each into the middle of the field."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated

from pydantic import Field

from eucentric_agents.procedures import DrivePlan, DriveResult, DriveToFeature, Exposure, find_particles
from eucentric_core import write_atomic

from .._pipeline import Ending
from ._instrument import InstrumentRequest, acquire, instrument_of
from ._spec import FlowSpec, Running

__all__ = ["DRIVE_TO_FEATURE", "DriveRequest"]


class DriveRequest(InstrumentRequest):
    """Features to visit: named ones, or round particles of a diameter that are found in the overview."""

    plan: DrivePlan = DrivePlan(final=Exposure(), keep_going=True)
    features_px: Annotated[
        tuple[tuple[float, float], ...], Field(description="(y, x) in the overview. Empty: find particles.")
    ] = ()
    particle_diameter_m: Annotated[float, Field(gt=0, le=1e-4)] = 2e-8
    most: Annotated[int, Field(ge=1, le=10_000, description="Visit at most so many particles.")] = 10


def _carry_out(running: Running, request: DriveRequest) -> Ending:
    find = partial(find_particles, diameter_m=request.particle_diameter_m)
    features = request.features_px or (lambda overview: find(overview)[: request.most])
    path = running.folder / "visits.json"

    def keep(result: DriveResult) -> str:
        visits = [
            {
                "y_px": visit.y_px,
                "x_px": visit.x_px,
                "reached": visit.reached,
                "corrections": visit.corrections,
                "offset_m": visit.offset_m,
                "error": None if visit.error is None else visit.error.what,
            }
            for visit in result.visits
        ]
        write_atomic(path, json.dumps(visits, indent=2).encode())
        return f"{len(result.reached)} of {len(result.visits)} features reached, in {path}"

    return Ending("done", acquire(running, request, DriveToFeature(request.plan, features), keep))


DRIVE_TO_FEATURE = FlowSpec(
    name="drive-to-feature",
    summary="Find features in an overview and bring one after the other into the middle of the field.",
    request=DriveRequest,
    carry_out=_carry_out,
    subject=instrument_of,
)
