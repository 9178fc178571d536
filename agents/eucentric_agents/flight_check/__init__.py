"""A small test data set that goes all the way to the repository and complains where it sticks."""

from __future__ import annotations

from ._frames import check_frames, flight_check_instrument
from ._journey import STAGES, Journey, Stage, stage_reached
from ._methods import flight_check_methods
from ._report import FlightCheckReport
from ._runner import FlightCheck
from ._schedule import FlightCheckSchedule, next_start

__all__ = [
    "STAGES",
    "FlightCheck",
    "FlightCheckReport",
    "FlightCheckSchedule",
    "Journey",
    "Stage",
    "check_frames",
    "flight_check_instrument",
    "flight_check_methods",
    "next_start",
    "stage_reached",
]
