"""Copies of what a hub knows: made while it runs, verified, and put back on an empty machine."""

from __future__ import annotations

from ._archive import ArchiveFacts, newest_archive, read_archive
from ._make import BackupMade, make_backup
from ._restore import RestorePlan, plan_restore, restore

__all__ = [
    "ArchiveFacts",
    "BackupMade",
    "RestorePlan",
    "make_backup",
    "newest_archive",
    "plan_restore",
    "read_archive",
    "restore",
]
