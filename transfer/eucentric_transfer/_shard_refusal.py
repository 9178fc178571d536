"""The error for what is not, or not quite, a shard."""

from __future__ import annotations

from eucentric_core import DataFormatError

__all__ = ["refuse"]


def refuse(what: str) -> DataFormatError:
    """The error for a file that is no shard."""
    return DataFormatError(
        what, safe="nothing of the file was used.", next_step="quarantine it and ask for it again."
    )
