"""`beam-feedback`: the beam goes from place to place as a detector passes its threshold."""

from __future__ import annotations

import dataclasses
import json

from eucentric_agents.procedures import BeamFeedback, BeamVisit, FeedbackPlan
from eucentric_core import write_atomic

from .._pipeline import Ending
from ._instrument import InstrumentRequest, acquire, instrument_of
from ._spec import FlowSpec, Running

__all__ = ["BEAM_FEEDBACK", "FeedbackRequest"]


class FeedbackRequest(InstrumentRequest):
    """Places and a threshold; readings go to `visits.json` in the folder of the run."""

    plan: FeedbackPlan = FeedbackPlan(above=0.5)


def _carry_out(running: Running, request: FeedbackRequest) -> Ending:
    path = running.folder / "visits.json"

    def keep(visits: tuple[BeamVisit, ...]) -> str:
        rows = [dataclasses.asdict(visit) for visit in visits]
        write_atomic(path, json.dumps(rows, indent=2).encode())
        passed = sum(visit.passed for visit in visits)
        return f"{passed} of {len(visits)} places passed the threshold, in {path}"

    return Ending("done", acquire(running, request, BeamFeedback(request.plan), keep))


BEAM_FEEDBACK = FlowSpec(
    name="beam-feedback",
    summary="Park the beam at one place after the other until a detector passes its threshold there.",
    request=FeedbackRequest,
    carry_out=_carry_out,
    subject=instrument_of,
)
