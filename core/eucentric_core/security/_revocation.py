"""The authority's list of revoked certificates, read again as soon as the file changes."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from .._errors import NotAuthorisedError
from .._model import utc_now
from ._certificate import describe_certificate

__all__ = ["RevocationList"]

_MAX_FILE_BYTES = 16 << 20
_log = logging.getLogger(__name__)


class RevocationList:
    """Answers whether a certificate is revoked. A list that cannot be trusted revokes everything.

    Asked for every request, so it looks only at the file's date unless that has changed. Safe to use from
    any thread.

    Args:
        path: the list, PEM, signed by the authority.
        authority: the certificate of the authority whose list this must be.
    """

    def __init__(self, path: Path, authority: x509.Certificate) -> None:
        self._path = path
        self._authority = authority
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._serials: frozenset[int] = frozenset()
        self._trouble: str | None = None
        self._until = datetime.max.replace(tzinfo=UTC)

    def require_not_revoked(self, certificate: x509.Certificate) -> None:
        """Let a certificate pass.

        Raises:
            NotAuthorisedError: it is revoked, or the list is missing, unreadable, out of date or not
                signed by the authority.
        """
        self.require_serial_not_revoked(certificate.serial_number, describe_certificate(certificate))

    def require_serial_not_revoked(self, serial: int, called: str) -> None:
        """Let a certificate pass that is known by its number alone; `called` is what to call it.

        Raises:
            NotAuthorisedError: as `require_not_revoked`.
        """
        trouble, serials = self._current()
        if trouble is not None:
            raise NotAuthorisedError(
                f"The list of revoked certificates {trouble}, so nobody is let in.",
                safe="nothing was sent to the instrument; the console beside it still works.",
                next_step="copy the authority's revoked.pem to where the service's tls settings name it.",
            )
        if serial in serials:
            raise NotAuthorisedError(
                f"The certificate {called} has been revoked.",
                safe="nothing was sent to the instrument.",
                next_step="ask whoever runs the site's authority for a new one (`eucentric certs issue`).",
            )

    def _current(self) -> tuple[str | None, frozenset[int]]:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError as error:
            return f"cannot be read ({(error.strerror or str(error)).lower()})", frozenset()
        with self._lock:
            if stamp != self._stamp:
                self._trouble, self._serials = self._read()
                self._stamp = stamp
            if self._trouble is None and utc_now() > self._until:
                return "is out of date", frozenset()
            return self._trouble, self._serials

    def _read(self) -> tuple[str | None, frozenset[int]]:
        trouble: str | None = None
        serials: frozenset[int] = frozenset()
        try:
            with self._path.open("rb") as stream:
                revoked = x509.load_pem_x509_crl(stream.read(_MAX_FILE_BYTES))
            if revoked.issuer != self._authority.subject or not revoked.is_signature_valid(
                self._authority.public_key()  # type: ignore[arg-type]  # any kind a certificate may have
            ):
                trouble = "is not signed by the authority"
            else:
                self._until = revoked.next_update_utc or self._until
                serials = frozenset(entry.serial_number for entry in revoked)
        except OSError as error:
            trouble = f"cannot be read ({(error.strerror or str(error)).lower()})"
        except (ValueError, TypeError):
            trouble = "is damaged"
        if trouble is None:
            _log.info("%d certificates are revoked", len(serials))
        else:
            _log.error("the list of revoked certificates %s %s; nobody is let in", self._path, trouble)
        return trouble, serials
