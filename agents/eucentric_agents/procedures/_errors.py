"""How a procedure ends when it does not end well."""

from __future__ import annotations

from eucentric_core import EucentricError

__all__ = [
    "BlankingFailedError",
    "CheckpointError",
    "ExposureCutShortError",
    "FeatureNotReachedError",
    "ProcedureAbortedError",
]


class ProcedureAbortedError(EucentricError):
    """Somebody aborted the procedure; what it had finished is in its checkpoint."""

    code = "procedure_aborted"


class BlankingFailedError(EucentricError):
    """The beam could not be blanked on the way out; the cause is what ended the procedure, if anything."""

    code = "blanking_failed"


class CheckpointError(EucentricError):
    """A checkpoint belongs to another procedure, is in use, or is damaged."""

    code = "checkpoint"


class ExposureCutShortError(EucentricError):
    """The beam was blanked before a frame was complete; the frame was thrown away."""

    code = "exposure_cut_short"


class FeatureNotReachedError(EucentricError):
    """A feature could not be brought into the middle of the field within the corrections allowed."""

    code = "feature_not_reached"
