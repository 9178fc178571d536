"""Typed failures of the edge. A refused bundle is a `BundleError` of the core."""

from __future__ import annotations

from eucentric_core import EucentricError

__all__ = ["ExportError", "FrameRefusedError", "ModelLostError", "SupportRefusedError", "TuningError"]


class FrameRefusedError(EucentricError):
    """A frame that cannot be analysed; it is counted and logged, and the next one is taken."""

    code = "edge.frame_refused"


class ModelLostError(EucentricError):
    """The process of a model has ended; the model is opened anew, and the frame waits for it."""

    code = "edge.model_lost"


class TuningError(EucentricError):
    """No back end could be chosen."""

    code = "edge.tuning"


class SupportRefusedError(EucentricError):
    """Classes that the model in service cannot be given."""

    code = "edge.support_refused"


class ExportError(EucentricError):
    """A network that cannot be written for other runtimes."""

    code = "edge.export"
