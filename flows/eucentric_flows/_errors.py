"""Typed failures of the flows."""

from __future__ import annotations

from eucentric_core import EucentricError

__all__ = ["HeldError", "InstallationError", "NotEnoughFramesError"]


class HeldError(EucentricError):
    """The run cannot go on with the data there is; nothing was published. It is recorded as held."""

    code = "held"


class NotEnoughFramesError(EucentricError):
    """The frames that a training needs did not arrive in time."""

    code = "not_enough_frames"


class InstallationError(EucentricError):
    """The edge did not confirm the version it was given."""

    code = "installation"
