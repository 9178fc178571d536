"""Typed failures of the model registry. An MLflow that does not answer is a `ServiceUnavailableError`."""

from __future__ import annotations

from eucentric_core import EucentricError

__all__ = ["RegistryError", "UnknownVersionError", "VersionConflictError"]


class RegistryError(EucentricError):
    """The registry refused, or answered something that it cannot mean."""

    code = "registry"


class UnknownVersionError(RegistryError):
    """There is no such version of this model."""

    code = "registry.unknown_version"


class VersionConflictError(RegistryError):
    """The signed version number is not the one the registry would give: build the bundle again."""

    code = "registry.version_conflict"
