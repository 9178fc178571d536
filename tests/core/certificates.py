"""A site with an authority, and certificates of every kind, good and bad."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from eucentric.certs import Authority, _profile
from eucentric.certs._files import create_folder, key_bytes, load_key
from eucentric_core import Role, TlsSettings, utc_now
from eucentric_core.security import ROLE_URI_PREFIX

CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER = ExtendedKeyUsageOID.SERVER_AUTH


class Site:
    """An authority and what it has issued."""

    def __init__(self, folder: Path, name: str = "site") -> None:
        self.authority = Authority.create(folder, name=name, days=30)
        self._made = 0

    def server(self, *hosts: str) -> TlsSettings:
        """Credentials of a service; it obeys the authority's own list of revoked certificates."""
        issued = self.authority.issue(f"scope-{self._number()}", hosts=hosts or ("127.0.0.1",), days=1)
        return self._settings(issued.folder, revoked=self.authority.revocation_list)

    def person(self, name: str, role: Role = Role.SCIENTIST) -> TlsSettings:
        """Credentials of a person."""
        return self._settings(self.authority.issue(name, role=role, days=1).folder)

    def forged(
        self,
        *names: x509.GeneralName,
        usage: x509.ObjectIdentifier = CLIENT,
        common_name: str = "mallory",
        valid_from: datetime | None = None,
        valid_until: datetime | None = None,
    ) -> TlsSettings:
        """Credentials that `Authority` would not issue, yet with its signature."""
        key = _profile.new_key()
        validity = (
            valid_from or utc_now() - timedelta(days=2),
            valid_until or utc_now() + timedelta(days=2),
        )
        certificate = _profile.signed_certificate(
            self.authority.certificate,
            load_key(self.authority.folder / "authority-key.pem"),
            key.public_key(),
            common_name,
            usage,
            x509.SubjectAlternativeName(names),
            validity,
        )
        folder = self.authority.folder / "forged" / str(self._number())
        files = {
            "authority.pem": self.authority.certificate.public_bytes(Encoding.PEM),
            "certificate.pem": certificate.public_bytes(Encoding.PEM),
            "key.pem": key_bytes(key),
        }
        create_folder(folder, files, private="key.pem")
        return self._settings(folder)

    def _number(self) -> int:
        self._made += 1
        return self._made

    def _settings(self, folder: Path, revoked: Path | None = None) -> TlsSettings:
        return TlsSettings(
            authority=folder / "authority.pem",
            certificate=folder / "certificate.pem",
            key=folder / "key.pem",
            revoked=revoked,
        )


def role_name(role: str) -> x509.GeneralName:
    """The name that says a role, known or not."""
    return x509.UniformResourceIdentifier(ROLE_URI_PREFIX + role)
