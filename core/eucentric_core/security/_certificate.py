"""What a certificate says about its holder.

A person's certificate names its role in a SubjectAlternativeName URI, `urn:eucentric:role:<role>`, and may
be used by clients only (extended key usage clientAuth). A machine's is for servers (serverAuth) and carries
its host names. TLS has proven signature, validity and key before any of this is asked.
"""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .._access import Caller, Role
from .._errors import ConfigurationError, NotAuthorisedError

__all__ = [
    "ROLE_URI_PREFIX",
    "caller_from_certificate",
    "describe_certificate",
    "load_certificate",
    "require_server_certificate",
]

ROLE_URI_PREFIX = "urn:eucentric:role:"
_MAX_FILE_BYTES = 64 << 10
_MAX_NAME = 200


def load_certificate(path: Path) -> x509.Certificate:
    """The first certificate of a PEM file.

    Raises:
        ConfigurationError: the file cannot be read or holds no certificate.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_FILE_BYTES)
        return x509.load_pem_x509_certificate(content)
    except OSError as error:
        what = f"Certificate {path} cannot be read: {(error.strerror or str(error)).lower()}."
    except ValueError:
        what = f"{path} holds no certificate in PEM form."
    raise ConfigurationError(
        what,
        safe="no connection was opened.",
        next_step="correct the tls settings, or have the files issued again (`eucentric certs issue`).",
    )


def describe_certificate(certificate: x509.Certificate) -> str:
    """A certificate as a person recognises it: name, serial number and last day."""
    until = certificate.not_valid_after_utc
    return f"{_name(certificate)!r} (serial {certificate.serial_number:x}, until {until:%Y-%m-%d %H:%M} UTC)"


def caller_from_certificate(certificate: x509.Certificate, address: str = "") -> Caller:
    """Who a client's certificate says its holder is.

    Raises:
        NotAuthorisedError: not a client's certificate, no name, or not exactly one known role.
    """
    _require_usage(certificate, ExtendedKeyUsageOID.CLIENT_AUTH, "clients")
    name = _name(certificate)
    if not name or len(name) > _MAX_NAME or not name.isprintable() or "/" in name:
        raise _refused(certificate, "carries no usable name")
    return Caller(
        name=name,
        role=_role(certificate),
        address=address,
        authenticated=True,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        serial=f"{certificate.serial_number:x}",
    )


def require_server_certificate(certificate: x509.Certificate) -> None:
    """Refuse a server that shows a person's certificate.

    Raises:
        NotAuthorisedError: the certificate is not for servers.
    """
    _require_usage(certificate, ExtendedKeyUsageOID.SERVER_AUTH, "servers")


def _require_usage(certificate: x509.Certificate, usage: x509.ObjectIdentifier, whom: str) -> None:
    try:
        allowed = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        allowed = None
    if allowed is None or usage not in allowed:
        raise _refused(certificate, f"is not for {whom}")


def _role(certificate: x509.Certificate) -> Role:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        uris = []
    given = [uri.removeprefix(ROLE_URI_PREFIX) for uri in uris if uri.startswith(ROLE_URI_PREFIX)]
    if len(given) != 1:
        raise _refused(certificate, "names no role" if not given else "names several roles")
    try:
        return Role(given[0])
    except ValueError:
        raise _refused(certificate, f"names a role that is not known here, {given[0]!r}") from None


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def _refused(certificate: x509.Certificate, why: str) -> NotAuthorisedError:
    return NotAuthorisedError(
        f"The certificate {describe_certificate(certificate)} {why}.",
        safe="nothing was sent to the instrument.",
        next_step="ask whoever runs the site's authority for one (`eucentric certs issue`).",
    )
