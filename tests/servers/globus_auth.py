"""The part of the emulated Globus that says who somebody is: tokens, consents, the page with the code."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from globus_sdk.scopes import Scope, ScopeParser

TRANSFER_SCOPE = "urn:globus:auth:scope:transfer.api.globus.org:all"
COMPUTE_SCOPE = "https://auth.globus.org/scopes/facd7ccc-c5f4-42aa-916b-a0e270e2c2a9/all"
COMPUTE_SERVER = "funcx_service"
_SERVER_OF_SCOPE = {
    COMPUTE_SCOPE: COMPUTE_SERVER,
    TRANSFER_SCOPE: "transfer.api.globus.org",
    "openid": "auth.globus.org",
    "profile": "auth.globus.org",
}


class Refusal(Exception):  # noqa: N818 - an answer like any other
    """What a service answers with when it does not do what it was asked."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, dict(headers or {})
        self.body: dict[str, Any] = {
            "code": code,
            "message": message,
            "request_id": uuid.uuid4().hex[:9],
            "resource": "",
            **extra,
        }


@dataclass
class Token:
    """An access token: of whom, for which application, where it counts and until when."""

    identity: str
    client: str
    server: str
    scope: str
    expires_at_s: float


@dataclass
class Grant:
    """A refresh token, or a code that can be exchanged for tokens once."""

    identity: str
    client: str
    scopes: list[Scope]
    refresh: bool = False
    challenge: str = ""


@dataclass
class Application:
    """An application registered with Globus. Without a secret it is one that people log in to."""

    secret: str | None
    identity: str = field(default_factory=lambda: str(uuid.uuid4()))


class Auth:
    """Globus Auth. `person` is who sits in front of the browser.

    Args:
        access_token_lifetime_s: real ones live two days, or some hours.
    """

    def __init__(self, *, access_token_lifetime_s: int = 172800) -> None:
        self.access_token_lifetime_s = access_token_lifetime_s
        self.person = str(uuid.uuid4())
        self.applications: dict[str, Application] = {}
        self.tokens: dict[str, Token] = {}
        self.refresh_tokens: dict[str, Grant] = {}
        self.consents: dict[tuple[str, str], set[tuple[str, ...]]] = {}
        self.consented_to: list[str] = []
        self.issued: list[str] = []
        self._codes: dict[str, Grant] = {}
        self._lock = threading.RLock()
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def register_service(self) -> tuple[str, str]:
        """A confidential application; returns its id and its secret."""
        client, secret = str(uuid.uuid4()), secrets.token_urlsafe(33)
        # Of a service account, the application's id is the identity.
        self.applications[client] = Application(secret, identity=client)
        return client, secret

    def register_native(self) -> str:
        """An application without a secret, to which people log in; returns its id."""
        client = str(uuid.uuid4())
        self.applications[client] = Application(None)
        return client

    def expire_access_tokens(self) -> None:
        """Every access token stops to count before it said it would."""
        with self._lock:
            self.tokens.clear()

    def revoke_everything(self) -> None:
        """As if everybody had withdrawn their consent on Globus's web page."""
        with self._lock:
            self.tokens.clear()
            self.refresh_tokens.clear()
            self.consents.clear()

    def caller(self, authorization: str | None, server: str) -> Token:
        """Whose access token this is.

        Raises:
            Refusal: of nobody, or for another service.
        """
        token = self.tokens.get((authorization or "").removeprefix("Bearer "))
        if token is None or token.server != server or token.expires_at_s < time.time():
            raise Refusal(401, "AuthenticationFailed", "Token is not active")
        return token

    def has_consent(self, token: Token, *path: str) -> bool:
        """Whether an identity lets an application do this, by way of that."""
        return path in self.consents.get((token.identity, token.client), set())

    def authorize(self, query: Mapping[str, str]) -> str:
        """The person reads the page and agrees; returns where the browser goes."""
        client = query["client_id"]
        if client not in self.applications or query.get("code_challenge_method") != "S256":
            raise Refusal(400, "BadRequest", "unknown application, or no PKCE")
        code = secrets.token_urlsafe(15)
        scopes = ScopeParser.parse(query["scope"])
        with self._lock:
            self.consented_to.append(query["scope"])
            self._codes[code] = Grant(
                self.person, client, scopes, query.get("access_type") == "offline", query["code_challenge"]
            )
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query.get('state', '')})}"

    def token(self, form: Mapping[str, str], authorization: str | None) -> dict[str, Any]:
        """`POST /v2/oauth2/token`."""
        with self._lock:
            match form.get("grant_type"):
                case "client_credentials":
                    client = self._authenticated(authorization)
                    grant = Grant(
                        self.applications[client].identity, client, ScopeParser.parse(form["scope"])
                    )
                case "authorization_code":
                    grant = self._exchanged(form)
                case "refresh_token":
                    known = self.refresh_tokens.get(form["refresh_token"])
                    if known is None or known.client != form.get("client_id", known.client):
                        raise _invalid_grant()
                    grant = Grant(known.identity, known.client, known.scopes)
                    # The refresh token stays the same, and is said again.
                    return {**self._issue(grant), "refresh_token": form["refresh_token"]}
                case other:
                    raise Refusal(400, "BadRequest", f"no grant of type {other}")
            return self._issue(grant)

    def _authenticated(self, authorization: str | None) -> str:
        given = base64.b64decode((authorization or "").removeprefix("Basic ")).decode().partition(":")
        application = self.applications.get(given[0])
        if application is None or application.secret is None or application.secret != given[2]:
            raise Refusal(401, "UNAUTHORIZED", "Client authentication failed", error="invalid_client")
        return given[0]

    def _exchanged(self, form: Mapping[str, str]) -> Grant:
        grant = self._codes.pop(form["code"], None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if grant is None or base64.urlsafe_b64encode(digest).decode().rstrip("=") != grant.challenge:
            raise _invalid_grant()
        return grant

    def _issue(self, grant: Grant) -> dict[str, Any]:
        granted = self.consents.setdefault((grant.identity, grant.client), set())
        by_server: dict[str, list[Scope]] = {}
        for scope in grant.scopes:
            name = scope.scope_string
            server = _SERVER_OF_SCOPE.get(name)
            if server is None:
                raise Refusal(400, "UNKNOWN_SCOPE", f"unknown scope {name}", error="unknown_scope_error")
            by_server.setdefault(server, []).append(scope)
            granted.add((name,))
            granted.update((name, below.scope_string) for below in scope.dependencies)
        first, *others = (self._access(grant, server, scopes) for server, scopes in by_server.items())
        if any(scope.scope_string == "openid" for scope in grant.scopes):
            first["id_token"] = self._id_token(grant)
            self.issued.append(first["id_token"])
        return {**first, "other_tokens": others}

    def _access(self, grant: Grant, server: str, scopes: list[Scope]) -> dict[str, Any]:
        access = secrets.token_urlsafe(30)
        names = " ".join(scope.scope_string for scope in scopes)
        until = time.time() + self.access_token_lifetime_s
        self.tokens[access] = Token(grant.identity, grant.client, server, names, until)
        answer = {
            "access_token": access,
            "scope": names,
            "resource_server": server,
            "expires_in": self.access_token_lifetime_s,
            "token_type": "Bearer",
        }
        self.issued.append(access)
        if grant.refresh:
            answer["refresh_token"] = refresh = secrets.token_urlsafe(30)
            self.refresh_tokens[refresh] = Grant(grant.identity, grant.client, scopes)
            self.issued.append(refresh)
        return answer

    def _id_token(self, grant: Grant) -> str:
        now = int(time.time())
        claims = {"sub": grant.identity, "aud": grant.client, "iat": now, "exp": now + 3600}
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": "emulated"})

    def key(self) -> dict[str, Any]:
        """The public key of identity tokens."""
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**public, "kid": "emulated", "alg": "RS256", "use": "sig"}]}

    def revoke(self, form: Mapping[str, str]) -> dict[str, Any]:
        """`POST /v2/oauth2/token/revoke`."""
        with self._lock:
            self.tokens.pop(form["token"], None)
            self.refresh_tokens.pop(form["token"], None)
        return {"active": False}

    def consent_documents(self, token: Token) -> dict[str, Any]:
        """`GET /v2/api/identities/ID/consents`."""
        paths = sorted(self.consents.get((token.identity, token.client), set()))
        ids = {path: number for number, path in enumerate(paths, start=1)}
        then = "2026-01-01T00:00:00+00:00"
        return {
            "consents": [
                {
                    "id": ids[path],
                    "dependency_path": [ids[path[: depth + 1]] for depth in range(len(path))],
                    "scope_name": path[-1],
                    "scope": str(uuid.uuid5(uuid.NAMESPACE_URL, path[-1])),
                    "client": token.client,
                    "effective_identity": token.identity,
                    "status": "approved",
                    "allows_refresh": True,
                    "auto_approved": False,
                    "atomically_revocable": len(path) > 1,
                    **dict.fromkeys(("created", "updated", "last_used"), then),
                }
                for path in paths
            ]
        }


def _invalid_grant() -> Refusal:
    refusal = Refusal(401, "invalid_grant", "the grant is not valid any more")
    # As globus-sdk recorded it.
    refusal.body = {"error": "invalid_grant"}
    return refusal
