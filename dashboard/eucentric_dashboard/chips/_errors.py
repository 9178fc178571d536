"""Typed failures of the studio."""

from __future__ import annotations

from eucentric_core import EucentricError

__all__ = ["ImageUnreadableError", "LabelError", "MappingError"]


class LabelError(EucentricError):
    """A label that cannot be given."""

    code = "dashboard.studio.label"


class ImageUnreadableError(EucentricError):
    """A file that is no image, or one that cannot be labelled."""

    code = "dashboard.studio.image"


class MappingError(EucentricError):
    """A class map that could not be computed here."""

    code = "dashboard.studio.mapping"
