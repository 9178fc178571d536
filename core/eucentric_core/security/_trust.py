"""Whether the other end of one connection is trusted, now and at each later request."""

from __future__ import annotations

from cryptography import x509

from .._errors import NotAuthorisedError
from .._model import utc_now
from ._certificate import describe_certificate
from ._revocation import RevocationList

__all__ = ["Trust"]


class Trust:
    """The certificate of an open connection. TLS checks it once; connections live longer than that.

    Args:
        certificate: as the other side proved it.
        revoked: the authority's list, if this side has one.
    """

    def __init__(self, certificate: x509.Certificate, revoked: RevocationList | None) -> None:
        self._certificate = certificate
        self._until = certificate.not_valid_after_utc
        self._revoked = revoked

    def require(self) -> None:
        """Let one request pass.

        Raises:
            NotAuthorisedError: the certificate has expired or was revoked since.
        """
        if utc_now() > self._until:
            raise NotAuthorisedError(
                f"The certificate {describe_certificate(self._certificate)} has expired.",
                safe="nothing was sent to the instrument.",
                next_step="ask whoever runs the site's authority for a new one (`eucentric certs issue`).",
            )
        if self._revoked is not None:
            self._revoked.require_not_revoked(self._certificate)
