"""What the authority remembers of every certificate it has issued."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from eucentric_core import ConfigurationError, FrozenModel, Role, Sha256, UtcDatetime, write_atomic

__all__ = ["CertificateRecord", "read_records", "write_record"]


class CertificateRecord(FrozenModel):
    """One issued certificate.

    Args:
        name: of the person or machine.
        kind: who holds it.
        role: of a person.
        hosts: DNS names and addresses of a server.
        serial: in hexadecimal.
        fingerprint: SHA-256 of the certificate.
        valid_from: first moment.
        valid_until: last moment.
        revoked_at: when it was revoked, if it was.
    """

    name: str
    kind: Literal["person", "server"]
    role: Role | None = None
    hosts: tuple[str, ...] = ()
    serial: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    fingerprint: Sha256
    valid_from: UtcDatetime
    valid_until: UtcDatetime
    revoked_at: UtcDatetime | None = None


def read_records(folder: Path) -> list[CertificateRecord]:
    """Every record, oldest first.

    Raises:
        ConfigurationError: a record is damaged.
    """
    records = []
    for path in folder.glob("*.json"):
        try:
            records.append(CertificateRecord.model_validate_json(path.read_bytes()))
        except ValidationError as error:
            raise ConfigurationError(
                f"The record {path} of an issued certificate is damaged.",
                safe="nothing was issued or revoked.",
                next_step="restore it from a backup.",
            ) from error
    return sorted(records, key=lambda record: (record.valid_from, record.serial))


def write_record(folder: Path, record: CertificateRecord) -> None:
    """Remember a certificate, a file each, so that two administrators never overwrite each other's."""
    folder.mkdir(exist_ok=True)
    write_atomic(folder / f"{record.serial}.json", record.model_dump_json(indent=2).encode())
