"""Why an ensemble cannot be compiled or run."""

from __future__ import annotations

from ..errors import ModelsError

__all__ = ["BackendError", "BackendUnavailableError"]


class BackendError(ModelsError):
    """A back end that failed on a network or on an image, or was asked for what it was not compiled for."""

    code = "models.backend"


class BackendUnavailableError(BackendError):
    """A back end that this machine lacks a package or a device for, or that does not exist."""

    code = "models.backend_unavailable"
