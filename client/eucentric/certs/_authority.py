"""Issues and revokes certificates from one folder."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from eucentric_core import Role, utc_now, write_atomic
from eucentric_core.security import load_certificate

from . import _profile as profile
from ._files import create_folder, key_bytes, load_key, refused
from ._names import require_hosts, require_name
from ._record import CertificateRecord, read_records, write_record

__all__ = ["Authority", "Issued"]

# Clocks of control PCs differ; a certificate must work on the machine it was made for at once.
_CLOCK_ALLOWANCE = timedelta(minutes=5)
_CERTIFICATE, _KEY, _REVOKED = "authority.pem", "authority-key.pem", "revoked.pem"


class Issued(NamedTuple):
    """A new certificate and the folder whose files belong on one machine."""

    record: CertificateRecord
    folder: Path


class Authority:
    """The authority kept in `folder`: its key, its list of revoked certificates, a record of each issued.

    `<folder>/issued/<name>/` holds what one person or machine needs, to be moved there. The key of the
    authority stays; whoever has it can be anybody.

    Raises:
        ConfigurationError: there is no authority in `folder`, or its key is open to others.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = load_key(folder / _KEY)
        self.certificate = load_certificate(folder / _CERTIFICATE)

    @classmethod
    def create(cls, folder: Path, *, name: str, days: int) -> Self:
        """Make a new authority.

        Raises:
            ConfigurationError: the folder holds something already, or cannot be written.
        """
        now = utc_now().replace(microsecond=0)
        validity = (now - _CLOCK_ALLOWANCE, now + timedelta(days=days))
        key = profile.new_key()
        certificate = profile.authority_certificate(key, require_name(name), validity)
        nobody = profile.revocation_list(certificate, key, [], now)
        files = {
            _CERTIFICATE: certificate.public_bytes(Encoding.PEM),
            _KEY: key_bytes(key),
            _REVOKED: nobody.public_bytes(Encoding.PEM),
        }
        create_folder(folder, files, private=_KEY)
        return cls(folder)

    @property
    def revocation_list(self) -> Path:
        """The signed list, to be copied to every service after each change."""
        return self.folder / _REVOKED

    def records(self) -> list[CertificateRecord]:
        """Everything issued, oldest first."""
        return read_records(self._records)

    def issue(
        self,
        name: str,
        *,
        role: Role | None = None,
        hosts: Sequence[str] = (),
        days: int,
        renew: bool = False,
    ) -> Issued:
        """Issue a certificate with a new key.

        Args:
            name: of the person (or program) or machine.
            role: for a person, who calls services.
            hosts: for a server, the DNS names and addresses under which clients reach it.
            days: of validity, at most the authority's own.
            renew: also while another certificate of this name is valid, so that one can replace it in time.

        Raises:
            ConfigurationError: a bad name or host, both or neither of role and hosts, or the name has a
                valid certificate and this is no renewal.
        """
        require_name(name)
        if (role is None) != bool(hosts):
            raise refused(
                "A certificate is for a person with a role or for a server with its hosts.",
                "give --role, or --server and --host.",
            )
        self._require_unused(name, renew)
        usage, names = profile.person_names(role) if role else profile.server_names(require_hosts(hosts))
        key = profile.new_key()
        certificate = profile.signed_certificate(
            self.certificate, self._key, key.public_key(), name, usage, names, self._validity(days)
        )
        record = CertificateRecord(
            name=name,
            kind="person" if role else "server",
            role=role,
            hosts=tuple(hosts),
            serial=f"{certificate.serial_number:016x}",
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
            valid_from=certificate.not_valid_before_utc,
            valid_until=certificate.not_valid_after_utc,
        )
        # The record first: a certificate that nobody remembers could not be revoked.
        write_record(self._records, record)
        folder = self._free_folder(name)
        create_folder(folder, self._files(certificate, key, role), private="key.pem")
        return Issued(record, folder)

    def revoke(self, which: str) -> list[CertificateRecord]:
        """Revoke a certificate by its serial number, or all valid ones of a name, and sign a new list.

        Raises:
            ConfigurationError: nothing by that name or number was issued.
        """
        now = utc_now().replace(microsecond=0)
        found = self.find(which)
        for record in found:
            if record.revoked_at is None:
                write_record(self._records, record.model_copy(update={"revoked_at": now}))
        # Written again even when nothing is new: a run that was interrupted here is completed by the next.
        revoked = [(int(r.serial, 16), r.revoked_at) for r in self.records() if r.revoked_at is not None]
        signed = profile.revocation_list(self.certificate, self._key, revoked, now)
        write_atomic(self.revocation_list, signed.public_bytes(Encoding.PEM))
        return self.find(which)

    def find(self, which: str) -> list[CertificateRecord]:
        """What was issued to a name, or the certificate of a serial number.

        Raises:
            ConfigurationError: nothing.
        """
        wanted = which.casefold()
        found = [r for r in self.records() if wanted in (r.name.casefold(), r.serial)]
        if not found:
            raise refused(f"No certificate of {which!r} was issued here.", "see `eucentric certs list`.")
        return found

    @property
    def _records(self) -> Path:
        return self.folder / "records"

    def _require_unused(self, name: str, renew: bool) -> None:
        now = utc_now()
        valid = [
            record
            for record in self.records()
            if record.name.casefold() == name.casefold()
            and record.revoked_at is None
            and record.valid_until > now
        ]
        if valid and not renew:
            raise refused(
                f"{name!r} has a valid certificate (serial {valid[-1].serial}, until "
                f"{valid[-1].valid_until:%Y-%m-%d}).",
                "revoke it first, add --renew to let both be valid, or choose another name.",
            )

    def _validity(self, days: int) -> tuple[datetime, datetime]:
        now = utc_now().replace(microsecond=0)
        return now - _CLOCK_ALLOWANCE, min(now + timedelta(days=days), self.certificate.not_valid_after_utc)

    def _free_folder(self, name: str) -> Path:
        candidates = (name if number == 1 else f"{name}-{number}" for number in itertools.count(1))
        return next(
            folder for folder in (self.folder / "issued" / leaf for leaf in candidates) if not folder.exists()
        )

    def _files(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, role: Role | None
    ) -> dict[str, bytes]:
        files = {
            "authority.pem": self.certificate.public_bytes(Encoding.PEM),
            "certificate.pem": certificate.public_bytes(Encoding.PEM),
            "key.pem": key_bytes(key),
        }
        if role is None:
            files["revoked.pem"] = self.revocation_list.read_bytes()
        return files
