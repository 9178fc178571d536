"""Typed failures of the models room."""

from __future__ import annotations

from eucentric_core import EucentricError


class ModelsError(EucentricError):
    """Base of every failure raised by ``eucentric_models``."""

    code = "models"


class UnknownMaterialError(ModelsError):
    """A material that has no description in ``MATERIALS``."""

    code = "models.unknown_material"


class InvalidFrameError(ModelsError):
    """An image that is not a finite, real, two-dimensional array."""

    code = "models.invalid_frame"


class InvalidSpectraError(ModelsError):
    """A series of spectra that is too short, of other channels, or not finite."""

    code = "models.invalid_spectra"


class WeightsError(ModelsError):
    """Weights that are unreadable or do not fit the network they are meant for."""

    code = "models.weights"


class DriftReferenceError(ModelsError):
    """A drift reference that cannot be built, read or compared with."""

    code = "models.drift_reference"
