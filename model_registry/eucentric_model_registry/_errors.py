"""Typed failures of the model registry."""

from __future__ import annotations

from eucentric_core import EucentricError, ServiceUnavailableError

__all__ = [
    "ChampionMovedError",
    "RegistryError",
    "RegistryUnavailableError",
    "SignaturesMissingError",
    "UnknownVersionError",
    "VersionConflictError",
]


class RegistryError(EucentricError):
    """The registry refused, or answered something that it cannot mean."""

    code = "registry"


class RegistryUnavailableError(ServiceUnavailableError):
    """MLflow does not answer, or answers with failures of its own: what was asked may be asked again."""

    code = "registry.unavailable"


class UnknownVersionError(RegistryError):
    """There is no such version of this model."""

    code = "registry.unknown_version"


class VersionConflictError(RegistryError):
    """The signed version number is not the one the registry would give: build the bundle again."""

    code = "registry.version_conflict"


class ChampionMovedError(RegistryError):
    """Somebody else moved the champion after this decision was made: it has to be made again.

    `details["champion"]` is the version that is champion now.
    """

    code = "registry.champion_moved"


class SignaturesMissingError(RegistryError):
    """Too few keys are at hand: what is to be signed waits in a file for people with the others.

    `details["request"]` is that file, where one was written.
    """

    code = "registry.signatures_missing"
