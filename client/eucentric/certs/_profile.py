"""What is written into certificates (RFC 5280), as `eucentric_core.security` reads it."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from eucentric_core import Role
from eucentric_core.security import ROLE_URI_PREFIX

__all__ = [
    "authority_certificate",
    "host_name",
    "new_key",
    "person_names",
    "revocation_list",
    "server_names",
    "signed_certificate",
]

Validity = tuple[datetime, datetime]


def new_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key: every TLS library, key store and browser takes it."""
    return ec.generate_private_key(ec.SECP256R1())


def authority_certificate(key: ec.EllipticCurvePrivateKey, name: str, validity: Validity) -> x509.Certificate:
    """The authority's own: it may sign certificates and revocation lists, and no further authority."""
    builder = _builder(_named(name), _named(name), key.public_key(), key.public_key(), validity)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.add_extension(_usage(signs_certificates=True), critical=True).sign(key, hashes.SHA256())


def person_names(role: Role) -> tuple[x509.ObjectIdentifier, x509.SubjectAlternativeName]:
    """Usage and names of a person's certificate."""
    uri = x509.UniformResourceIdentifier(ROLE_URI_PREFIX + role)
    return ExtendedKeyUsageOID.CLIENT_AUTH, x509.SubjectAlternativeName([uri])


def server_names(hosts: Sequence[str]) -> tuple[x509.ObjectIdentifier, x509.SubjectAlternativeName]:
    """Usage and names of a server's certificate."""
    return ExtendedKeyUsageOID.SERVER_AUTH, x509.SubjectAlternativeName([host_name(host) for host in hosts])


def host_name(host: str) -> x509.GeneralName:
    """A DNS name or an address, as clients compare it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def signed_certificate(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    public_key: ec.EllipticCurvePublicKey,
    name: str,
    usage: x509.ObjectIdentifier,
    names: x509.SubjectAlternativeName,
    validity: Validity,
) -> x509.Certificate:
    """A certificate for one person or machine."""
    builder = _builder(_named(name), authority.subject, public_key, authority_key.public_key(), validity)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.add_extension(names, critical=False).sign(authority_key, hashes.SHA256())


def revocation_list(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    revoked: Sequence[tuple[int, datetime]],
    now: datetime,
) -> x509.CertificateRevocationList:
    """The signed list of (serial number, when). As long valid as the authority: services refuse a list
    that is out of date, and a site must not stop because nobody was there to sign a new one."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.subject)
        .last_update(now)
        .next_update(authority.not_valid_after_utc)
        .add_extension(x509.CRLNumber(int(now.timestamp() * 1e6)), critical=False)
        .add_extension(_authority_identifier(authority_key.public_key()), critical=False)
    )
    for serial, when in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(authority_key, hashes.SHA256())


def _new_serial() -> int:
    # Unpredictable, and short enough to be typed: 16 hexadecimal digits.
    return 1 << 62 | secrets.randbits(62)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _authority_identifier(key: ec.EllipticCurvePublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    validity: Validity,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(_new_serial())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_authority_identifier(issuer_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
