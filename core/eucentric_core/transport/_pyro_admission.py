"""Who may talk to a control server, and as whom."""

from __future__ import annotations

import getpass
import hmac
import logging
import ssl
from typing import NamedTuple

from .._access import Caller, Role
from .._errors import ConfigurationError, NotAuthorisedError
from .._settings import TlsSettings
from ..security import RevocationList, Trust, caller_from_certificate, load_certificate, server_context
from ._network import require_loopback
from ._pyro_connection import ServedConnection

__all__ = ["Admission", "Admitted"]


_log = logging.getLogger(__name__)


class Admitted(NamedTuple):
    """A caller, and what to ask before each of their requests (nothing, on this machine)."""

    caller: Caller
    trust: Trust | None


class Admission:
    """The rule of one server: a certificate, the console token, or loopback alone.

    Raises:
        ConfigurationError: the credentials are unusable, or the address is not loopback and there are none.
    """

    def __init__(
        self, host: str, credentials: TlsSettings | None, token: str | None, anonymous_role: Role
    ) -> None:
        if credentials is not None and token is not None:
            raise ConfigurationError(
                "A control channel was given both certificates and a token.",
                safe="no port was opened.",
                next_step="give certificates to reach it from other machines, or a token for this one alone.",
            )
        self.context: ssl.SSLContext | None = None
        self._revoked: RevocationList | None = None
        self._token = token
        self._anonymous_role = anonymous_role
        if credentials is None:
            require_loopback(host, "control")
            return
        self.context = server_context(credentials)
        if credentials.revoked is None:
            _log.warning("no list of revoked certificates is set; each counts until it expires")
        else:
            self._revoked = RevocationList(credentials.revoked, load_certificate(credentials.authority))

    def judge(self, connection: ServedConnection, handshake: object) -> Admitted:
        """Say who the other end of a connection is.

        Args:
            connection: after its TLS handshake, where there is one.
            handshake: what the other end said in Pyro's handshake.

        Raises:
            NotAuthorisedError: it may not talk to this server.
        """
        address = connection.address
        if self.context is not None:
            certificate = connection.peer_certificate()
            trust = Trust(certificate, self._revoked)
            trust.require()
            return Admitted(caller_from_certificate(certificate, address), trust)
        if self._token is None:
            return Admitted(Caller(name="anonymous", role=self._anonymous_role, address=address), None)
        if not isinstance(handshake, str) or not hmac.compare_digest(
            handshake.encode(), self._token.encode()
        ):
            raise NotAuthorisedError(
                "The console token is missing or wrong.",
                safe="nothing was sent to the instrument.",
                next_step="run this as the user whose agent is running, after it has started.",
            )
        operator = Caller(name=_user(), role=Role.OPERATOR, address=address, local=True, authenticated=True)
        return Admitted(operator, None)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # an account without a name, as in some containers
        return "local"
