"""The site's small certificate authority: says which machine is which, and who has which role."""

from __future__ import annotations

from ._authority import Authority
from ._command import app
from ._record import CertificateRecord

__all__ = ["Authority", "CertificateRecord", "app"]
