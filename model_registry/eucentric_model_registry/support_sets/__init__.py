"""The hub's store of support sets: named, versioned, content-addressed, never overwritten.

Knows support sets by their bytes and their facts, so it needs none of what few-shot models need.
"""

from __future__ import annotations

from ._errors import SupportSetConflictError, SupportSetStoreError, UnknownSupportSetError
from ._record import ImageOrigin, NamedClass, NewSupportSet, SupportSetRecord
from ._store import SupportSetStore, support_set_store

__all__ = [
    "ImageOrigin",
    "NamedClass",
    "NewSupportSet",
    "SupportSetConflictError",
    "SupportSetRecord",
    "SupportSetStore",
    "SupportSetStoreError",
    "UnknownSupportSetError",
    "support_set_store",
]
