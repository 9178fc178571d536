"""Following what takes long, from far away: a broken link is waited out, and ends nothing."""

from __future__ import annotations

from ._acquisition import AcquisitionProgress
from ._follow import NotFollowedError, follow
from ._reading import ProgressSource, Reading
from ._run import RunProgress

__all__ = ["AcquisitionProgress", "NotFollowedError", "ProgressSource", "Reading", "RunProgress", "follow"]
