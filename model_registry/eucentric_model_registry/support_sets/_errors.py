"""Typed failures of the store of support sets."""

from __future__ import annotations

from eucentric_core import EucentricError

__all__ = ["SupportSetConflictError", "SupportSetStoreError", "UnknownSupportSetError"]


class SupportSetStoreError(EucentricError):
    """The store cannot be read or written, or what it holds is damaged."""

    code = "registry.support_sets"


class UnknownSupportSetError(SupportSetStoreError):
    """There is no such support set, or no such version."""

    code = "registry.support_sets.unknown"


class SupportSetConflictError(SupportSetStoreError):
    """Somebody else saved a version meanwhile; the details have its number and author."""

    code = "registry.support_sets.conflict"
