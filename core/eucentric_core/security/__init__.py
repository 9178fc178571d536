"""Who is at the other end: certificates and revocation lists are checked here, never signed."""

from __future__ import annotations

from ._certificate import (
    ROLE_URI_PREFIX,
    caller_from_certificate,
    describe_certificate,
    load_certificate,
    require_server_certificate,
)
from ._contexts import client_context, server_context
from ._failures import explain_tls_failure
from ._revocation import RevocationList
from ._trust import Trust

__all__ = [
    "ROLE_URI_PREFIX",
    "RevocationList",
    "Trust",
    "caller_from_certificate",
    "client_context",
    "describe_certificate",
    "explain_tls_failure",
    "load_certificate",
    "require_server_certificate",
    "server_context",
]
