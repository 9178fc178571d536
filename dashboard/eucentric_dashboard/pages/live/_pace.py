"""How often a viewer is sent a frame, so that all of them together take no more than their share."""

from __future__ import annotations

__all__ = ["MAX_PER_VIEWER_S", "MAX_SENT_PER_S", "least_interval_s"]

MAX_SENT_PER_S = 300.0
"""Frames to all viewers together. One takes 0.3 to 0.5 ms of the dashboard's processor time (512 px)."""

MAX_PER_VIEWER_S = 60.0
"""Frames to one viewer: no screen shows more."""


def least_interval_s(viewers: int) -> float:
    """Seconds between the beginnings of two frames to one of `viewers` viewers."""
    return max(1.0 / MAX_PER_VIEWER_S, viewers / MAX_SENT_PER_S)
