"""TLS as this project uses it: version 1.3, both sides prove who they are, one authority and no other."""

from __future__ import annotations

import logging
import os
import ssl
import stat
from datetime import timedelta
from pathlib import Path

from .._errors import ConfigurationError
from .._model import utc_now
from .._settings import TlsSettings
from ._certificate import describe_certificate, load_certificate

__all__ = ["client_context", "server_context"]

_NOTICE = timedelta(days=14)
_log = logging.getLogger(__name__)


def server_context(credentials: TlsSettings) -> ssl.SSLContext:
    """What a service accepts connections with: clients must show a certificate of the authority.

    Raises:
        ConfigurationError: a file is missing, damaged, open to others, or key and certificate differ.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    # A resumed session would skip the certificate, and with it role and revocation.
    context.num_tickets = 0
    _loaded(context, credentials)
    _warn_of_expiry(credentials.certificate)
    return context


def client_context(credentials: TlsSettings) -> ssl.SSLContext:
    """What a client connects with: the service must be the named host, certified by the authority.

    Raises:
        ConfigurationError: a file is missing, damaged, open to others, or key and certificate differ.
    """
    return _loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), credentials)


def _loaded(context: ssl.SSLContext, credentials: TlsSettings) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    for path in (credentials.authority, credentials.certificate):
        load_certificate(path)
    _require_private(credentials.key)
    try:
        context.load_verify_locations(cafile=credentials.authority)
    except (OSError, ssl.SSLError) as error:
        raise _unusable(f"Authority {credentials.authority} cannot be used: {_reason(error)}.") from error
    try:
        # A key with a passphrase would ask at the terminal, where a service has nobody.
        context.load_cert_chain(credentials.certificate, credentials.key, password="")
    except (OSError, ssl.SSLError, ValueError) as error:
        raise _unusable(
            f"Key {credentials.key} does not open certificate {credentials.certificate}: {_reason(error)}."
        ) from error
    return context


def _warn_of_expiry(path: Path) -> None:
    certificate = load_certificate(path)
    if certificate.not_valid_after_utc < utc_now() + _NOTICE:
        _log.warning("renew this certificate: %s in %s", describe_certificate(certificate), path)


def _require_private(key: Path) -> None:
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise _unusable(f"Key {key} cannot be read: {_reason(error)}.") from error
    # Windows keeps access in lists of its own; the mode says nothing about them.
    if os.name != "nt" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _unusable(
            f"Key {key} is open to other users (mode {stat.S_IMODE(mode):04o}).",
            f"run `chmod 600 {key}`; have it revoked and issued again if others may have read it.",
        )


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "damaged").replace("_", " ").lower()
    return (getattr(error, "strerror", None) or str(error)).lower()


def _unusable(
    what: str,
    next_step: str = "correct the tls settings, or have the files issued again (`eucentric certs issue`).",
) -> ConfigurationError:
    return ConfigurationError(what, safe="no connection was opened.", next_step=next_step)
