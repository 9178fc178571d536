"""What went wrong, as an HTTP answer: a status and the same report that the command line shows."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from eucentric_core import (
    BusyError,
    ConfigurationError,
    DataFormatError,
    ErrorReport,
    EucentricError,
    NotAuthorisedError,
    ServiceUnavailableError,
    explain_problem,
)

__all__ = ["GoneError", "SelectionError", "TooLargeError", "answer_errors"]


class SelectionError(ConfigurationError):
    """The request asks for something that cannot be."""


class TooLargeError(ConfigurationError):
    """The answer would be larger than the door lets out."""


class GoneError(ConfigurationError):
    """A shard was pruned; its hash and provenance are still there."""


# The most special first.
_STATUS: tuple[tuple[type[EucentricError], int], ...] = (
    (TooLargeError, 413),
    (GoneError, 410),
    (SelectionError, 422),
    (ConfigurationError, 404),
    (DataFormatError, 409),
    (NotAuthorisedError, 403),
    (BusyError, 503),
    (ServiceUnavailableError, 503),
)


def _answer(report: ErrorReport, status: int) -> JSONResponse:
    return JSONResponse({"error": report.model_dump(mode="json")}, status_code=status)


async def _of_ours(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, EucentricError):
        raise error
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return _answer(error.report(), status)


async def _of_parameters(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    problems = [explain_problem({**problem, "loc": problem["loc"][-1:]}) for problem in error.errors()]
    report = ErrorReport(
        code="configuration",
        what="; ".join(problems)[:1000] + ".",
        safe="nothing was read.",
        next_step="/openapi.json lists what each address takes.",
    )
    return _answer(report, 422)


def answer_errors(app: FastAPI) -> None:
    """Answer every failure of this project with its report as JSON."""
    app.add_exception_handler(EucentricError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_parameters)
