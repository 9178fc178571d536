"""What can go wrong with copies."""

from __future__ import annotations

from eucentric_core import EucentricError

__all__ = ["ArchiveDamagedError", "BackupFailedError", "RestoreRefusedError"]


class BackupFailedError(EucentricError):
    """No archive was made; those of before are untouched."""

    code = "hub.backup_failed"


class ArchiveDamagedError(EucentricError):
    """An archive is not what it was when it was made; nothing of it is used."""

    code = "hub.archive_damaged"


class RestoreRefusedError(EucentricError):
    """Nothing was restored: something lies where it would be written, or a secret is missing."""

    code = "hub.restore_refused"
