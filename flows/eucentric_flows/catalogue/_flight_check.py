"""`flight-check`: a small test data set goes all the way from the agent to the repository."""

from __future__ import annotations

import time
from contextlib import closing

from eucentric_agents.flight_check import FlightCheckReport
from eucentric_core import EucentricError, Settings, error_from_report, read_console
from eucentric_core.transport import PyroControlClient

from .._pipeline import Ending, Say
from ._spec import FlowRequest, FlowSpec, Running

__all__ = ["FLIGHT_CHECK", "FlightCheckRequest"]

_CLIENT = {"client": "flows"}
_POLL_S = 0.5
_TIMEOUT_S = 30.0


class FlightCheckRequest(FlowRequest):
    """Check the way of data on this machine's own agent, by its console."""


def _carry_out(running: Running, _request: FlightCheckRequest) -> Ending:
    def fly(say: Say) -> FlightCheckReport:
        port, token = read_console(running.settings.home)
        with closing(PyroControlClient("127.0.0.1", port, timeout_s=_TIMEOUT_S, token=token)) as client:
            client.call("flight_check.start", dict(_CLIENT))
            say("waiting for the test data set to arrive in the repository")
            while (status := client.call("flight_check.status", dict(_CLIENT)))["running"]:
                time.sleep(_POLL_S)
        report = FlightCheckReport.model_validate(status["last"])
        if report.error is not None:
            raise _as_error(report)
        say(f"{report.dataset_id} passed in {report.took_s:.1f} s")
        return report

    report = running.run_stage("fly", fly)
    return Ending("done", f"{report.dataset_id} passed in {report.took_s:.1f} s")


def _as_error(report: FlightCheckReport) -> EucentricError:
    if report.error is None:
        raise ValueError("a flight check that passed is no error")
    return error_from_report(report.error)


def _subject(settings: Settings, _request: FlightCheckRequest) -> str:
    return f"flight check of {settings.agent.name}"


FLIGHT_CHECK = FlowSpec(
    name="flight-check",
    summary="Send a small test data set all the way to the repository and say where it sticks.",
    request=FlightCheckRequest,
    carry_out=_carry_out,
    subject=_subject,
)
