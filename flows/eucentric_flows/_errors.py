"""Typed failures of the flows."""

from __future__ import annotations

from eucentric_core import EucentricError

__all__ = [
    "HeldError",
    "InstallationError",
    "NotEnoughFramesError",
    "RunCancelledError",
    "RunTakenOverError",
]


class HeldError(EucentricError):
    """The run cannot go on with the data there is; nothing was published. It is recorded as held."""

    code = "held"


class NotEnoughFramesError(EucentricError):
    """The frames that a training needs did not arrive in time."""

    code = "not_enough_frames"


class InstallationError(EucentricError):
    """The edge did not confirm the version it was given."""

    code = "installation"


class RunCancelledError(EucentricError):
    """Somebody cancelled the run; it is recorded as cancelled."""

    code = "run_cancelled"


class RunTakenOverError(EucentricError):
    """Another process carries the run out, or it has been ended; this one must do nothing more."""

    code = "run_taken_over"
