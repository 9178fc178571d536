"""`survey-spectroscopy`: a survey image, then spectra where deep kernel learning expects most."""

from __future__ import annotations

from eucentric_agents.procedures import SurveyPlan, SurveyResult, SurveySpectroscopy

from .._pipeline import Ending
from ._instrument import InstrumentRequest, acquire, instrument_of
from ._spec import FlowSpec, Running

__all__ = ["SURVEY_SPECTROSCOPY", "SurveyRequest"]


class SurveyRequest(InstrumentRequest):
    """A survey and spectra; both go to `survey.h5` in the folder of the run."""

    plan: SurveyPlan = SurveyPlan()


def _carry_out(running: Running, request: SurveyRequest) -> Ending:
    path = running.folder / "survey.h5"

    def keep(result: SurveyResult) -> str:
        result.save(path)
        best = max(result.log.records, key=lambda record: record.value)
        where = f"({best.y_px}, {best.x_px})"
        return f"{len(result.log.records)} spectra, the largest share {best.value:.3f} at {where}, in {path}"

    return Ending("done", acquire(running, request, SurveySpectroscopy(request.plan), keep))


SURVEY_SPECTROSCOPY = FlowSpec(
    name="survey-spectroscopy",
    summary="Take a survey image, then spectra where deep kernel learning expects most.",
    request=SurveyRequest,
    carry_out=_carry_out,
    subject=instrument_of,
)
