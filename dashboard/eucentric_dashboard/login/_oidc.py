"""Login by an OpenID Connect provider: the authorization code flow with PKCE, state and nonce.

Checked as OpenID Connect Core 1.0, 3.1.3.7 asks: signature by the provider's published keys, issuer,
audience, expiry, nonce. The answer counts only in the browser that began the login.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from eucentric_core import (
    ConfigurationError,
    DashboardSettings,
    EucentricError,
    NotAuthorisedError,
    OidcSettings,
    ServiceUnavailableError,
    is_loopback,
    read_secret_file,
)

from .._person import Person

__all__ = ["OidcLogin"]

_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures that need the provider's private key; `none` and shared secrets are not among them."""

_TIMEOUT_S = 10.0
_PENDING_S = 600.0
_MAX_PENDING = 1000
_LEEWAY_S = 60

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Pending:
    begun_s: float
    next_path: str
    nonce: str
    verifier: str
    binding: str


class OidcLogin:
    """One provider. Any thread may call; each call waits for the provider for ten seconds at most.

    Args:
        dashboard: for the address that the provider sends browsers back to.
        chosen: the provider.

    Raises:
        ConfigurationError: it is not reached by TLS, or the secret cannot be read.
    """

    def __init__(self, dashboard: DashboardSettings, chosen: OidcSettings) -> None:
        issuer = urlsplit(chosen.issuer)
        if issuer.scheme != "https" and not is_loopback(issuer.hostname or ""):
            raise ConfigurationError(
                f"The provider {chosen.issuer} would be asked without TLS.",
                safe="nobody was let in.",
                next_step="give dashboard.oidc.issuer as https://...",
            )
        scheme = "http" if dashboard.certificate is None else "https"
        base = dashboard.public_url or f"{scheme}://{dashboard.host}:{dashboard.port}"
        self._redirect = f"{base.rstrip('/')}/login/oidc/callback"
        self._chosen = chosen
        self._secret = (
            None
            if chosen.client_secret_file is None
            else read_secret_file(chosen.client_secret_file, setting="dashboard.oidc.client_secret_file")
        )
        self._lock = threading.Lock()
        self._pending: OrderedDict[str, _Pending] = OrderedDict()
        self._known: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """As people know it."""
        return self._chosen.name

    def begin(self, next_path: str) -> tuple[str, str]:
        """Where to send a browser, and what it must bring back in a cookie.

        Raises:
            ServiceUnavailableError: the provider does not answer.
        """
        endpoint = self._described()["authorization_endpoint"]
        begun = _Pending(
            time.monotonic(),
            next_path,
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            binding=secrets.token_urlsafe(24),
        )
        with self._session() as session:
            address, state = session.create_authorization_url(
                endpoint, nonce=begun.nonce, code_verifier=begun.verifier
            )
        with self._lock:
            self._pending[state] = begun
            while len(self._pending) > _MAX_PENDING:
                self._pending.popitem(last=False)
        return str(address), begun.binding

    def finish(self, answer: Mapping[str, str], binding: str) -> tuple[Person, str]:
        """Who the provider says it is, and where they wanted to go.

        Args:
            answer: the parameters that the browser came back with.
            binding: from the browser's cookie.

        Raises:
            NotAuthorisedError: the answer is not to a question of this browser, does not hold, or the person
                has no role here.
            ServiceUnavailableError: the provider does not answer.
        """
        with self._lock:
            begun = self._pending.pop(answer.get("state", ""), None)
        if begun is None or time.monotonic() - begun.begun_s > _PENDING_S:
            raise _refused("This login was not begun here, or too long ago.")
        if not hmac.compare_digest(begun.binding.encode(), binding.encode()):
            raise _refused("This login was begun in another browser.")
        if "error" in answer or "code" not in answer:
            said = answer.get("error_description") or answer.get("error") or "nothing"
            raise _refused(f"{self.name} did not confirm the login: {said[:200]}.")
        return self._person(self._claims(answer["code"], begun)), begun.next_path

    def _claims(self, code: str, begun: _Pending) -> Mapping[str, Any]:
        described = self._described()
        try:
            with self._session() as session:
                tokens = session.fetch_token(
                    described["token_endpoint"], code=code, code_verifier=begun.verifier, timeout=_TIMEOUT_S
                )
            keys = KeySet.import_key_set(cast(KeySetSerialization, _get_json(described["jwks_uri"])))
            token = jwt.decode(str(tokens["id_token"]), keys, algorithms=_ALGORITHMS)
            jwt.JWTClaimsRegistry(
                leeway=_LEEWAY_S,
                iss={"essential": True, "value": described["issuer"]},
                aud={"essential": True, "value": self._chosen.client_id},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": begun.nonce},
            ).validate(token.claims)
        except requests.RequestException as error:
            raise self._silent(error) from error
        except (AuthlibBaseError, JoseError, KeyError, ValueError) as error:
            _log.warning("an answer of %s does not hold: %s", self.name, error)
            raise _refused(f"The answer of {self.name} does not hold ({type(error).__name__}).") from error
        authorised = token.claims.get("azp", self._chosen.client_id)
        if authorised != self._chosen.client_id:
            raise _refused(f"The answer of {self.name} was made for {authorised!r}.")
        return token.claims

    def _person(self, claims: Mapping[str, Any]) -> Person:
        name = claims.get(self._chosen.name_claim)
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 100:
            raise _refused(f"{self.name} does not say who you are ({self._chosen.name_claim}).")
        if self._chosen.name_claim == "email" and claims.get("email_verified") is False:
            raise _refused(f"{self.name} has not verified the address {name}.")
        role = self._chosen.roles.get(name, self._chosen.other_role)
        if role is None:
            raise NotAuthorisedError(
                f"{name} has no role at this dashboard.",
                safe="nobody was let in.",
                next_step="ask an administrator to add the name to dashboard.oidc.roles.",
            )
        return Person(name, role)

    def _described(self) -> Mapping[str, Any]:
        known = self._known
        if known is None:
            issuer = self._chosen.issuer.rstrip("/")
            try:
                known = _get_json(f"{issuer}/.well-known/openid-configuration")
            except (requests.RequestException, ValueError) as error:
                raise self._silent(error) from error
            needed = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
            if any(not isinstance(known.get(key), str) for key in needed):
                raise self._silent(None)
            if known["issuer"].rstrip("/") != issuer:
                raise _refused(f"{issuer} calls itself {known['issuer']}.")
            self._known = known
        return known

    def _session(self) -> OAuth2Session:
        return OAuth2Session(
            self._chosen.client_id,
            self._secret,
            scope=" ".join(self._chosen.scopes),
            redirect_uri=self._redirect,
            code_challenge_method="S256",
        )

    def _silent(self, error: Exception | None) -> EucentricError:
        _log.warning("%s does not answer: %s", self._chosen.issuer, error)
        return ServiceUnavailableError(
            f"{self.name} does not answer.",
            safe="nobody was let in.",
            next_step="try again, or log in with an account of this dashboard.",
        )


def _get_json(address: str) -> dict[str, Any]:
    answer = requests.get(address, timeout=_TIMEOUT_S, allow_redirects=False)
    answer.raise_for_status()
    found = answer.json()
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def _refused(what: str) -> NotAuthorisedError:
    return NotAuthorisedError(what, safe="nobody was let in.", next_step="begin the login again.")
