"""Failures that only an instrument has."""

from __future__ import annotations

from eucentric_core import EucentricError

__all__ = ["MoveHaltedError"]


class MoveHaltedError(EucentricError):
    """A stage move was halted before it arrived."""

    code = "move_halted"
