"""A failed TLS handshake in words: whose certificate, what is wrong with it, what to do."""

from __future__ import annotations

import ssl

from .._errors import EucentricError, NotAuthorisedError, ServiceUnavailableError
from .._settings import TlsSettings
from ._certificate import describe_certificate, load_certificate

__all__ = ["explain_tls_failure"]

_SAFE = "nothing was sent to the instrument."
_ASK = "ask whoever runs the site's authority for a new one (`eucentric certs issue`)."

# OpenSSL's numbers (X509_V_ERR_*): what is wrong with the certificate that the service shows.
_SERVER = {
    9: "is not valid yet; compare the clocks of both machines",
    10: "has expired",
    18: "is not from the authority in your tls settings",
    19: "is not from the authority in your tls settings",
    20: "is not from the authority in your tls settings",
    21: "is not from the authority in your tls settings",
    26: "is not for servers",
    62: "is not for this host name",
    64: "is not for this address",
}

# What the service says about the certificate that this side shows.
_CLIENT = {
    "CERTIFICATE_EXPIRED": "has expired (or the clocks of both machines differ)",
    "CERTIFICATE_REVOKED": "has been revoked",
    "UNKNOWN_CA": "is not from the authority that the service trusts",
    "UNSUPPORTED_CERTIFICATE": "is not for clients",
    "BAD_CERTIFICATE": "is damaged, or not valid yet",
    "CERTIFICATE_UNKNOWN": "is not accepted",
    "CERTIFICATE_REQUIRED": "was asked for and not shown",
    "ACCESS_DENIED": "is not accepted",
    "DECRYPT_ERROR": "does not belong to its key",
}


def explain_tls_failure(error: OSError, credentials: TlsSettings, where: str) -> EucentricError:
    """The typed error for what the TLS library said while connecting to `where`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        problem = _SERVER.get(error.verify_code, f"is refused: {error.verify_message}")
        return NotAuthorisedError(
            f"The certificate that the service at {where} shows {problem}.",
            safe=_SAFE,
            next_step=f"make sure that this is the right address; authority in use: {credentials.authority}.",
        )
    reason = (getattr(error, "reason", None) or "").upper()
    alert = reason.partition("_ALERT_")[2]
    if alert in _CLIENT:
        return NotAuthorisedError(
            f"Your certificate {_own(credentials)} {_CLIENT[alert]}, says the service at {where}.",
            safe=_SAFE,
            next_step=_ASK,
        )
    words = reason.replace("_", " ").lower() or str(error)
    return ServiceUnavailableError(
        f"The service at {where} does not speak TLS 1.3 as expected: {words}.",
        safe=_SAFE,
        next_step="check the address, and that the service has its tls settings.",
    )


def _own(credentials: TlsSettings) -> str:
    try:
        return (
            f"{describe_certificate(load_certificate(credentials.certificate))} in {credentials.certificate}"
        )
    except EucentricError:
        return str(credentials.certificate)
