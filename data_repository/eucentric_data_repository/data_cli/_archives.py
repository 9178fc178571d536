"""Opening archives as the settings say."""

from __future__ import annotations

from eucentric_core import Settings
from eucentric_transfer import MoverOptions, open_mover

from .._copies import ArchiveOpener

__all__ = ["archive_opener"]


def archive_opener(settings: Settings) -> ArchiveOpener:
    """Opens the mover of an archive's address."""
    options = MoverOptions(
        state=settings.home / "repository-archives",
        s3=settings.s3,
        globus=settings.globus.within(settings.home),
    )
    return lambda address: open_mover(address, options=options)
