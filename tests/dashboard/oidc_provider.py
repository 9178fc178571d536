"""A small OpenID Connect provider: Authlib's own server side with PKCE, keys of its own, and one person.

It confirms at once whoever is set as `person`; a test may spoil what it signs.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from fastapi import FastAPI, Request, Response
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.responses import JSONResponse, RedirectResponse

from eucentric_core.transport import find_free_port

from .web import served

__all__ = ["CLIENT_ID", "SECRET", "Provider", "running_provider"]

CLIENT_ID = "eucentric-dashboard"
SECRET = "a-secret-of-the-client"  # noqa: S105 - of a test
_KEY = RSAKey.generate_key(2048, {"kid": "key-1"}, auto_kid=False)
_BASIC = b64encode(f"{CLIENT_ID}:{SECRET}".encode()).decode()


def _without_name(of_key: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in of_key.items() if name != "kid"}


class Provider:
    """What it says, and what it was asked.

    Attributes:
        person: who is confirmed.
        spoil: changes the claims before they are signed.
        key: that signs.
        algorithm: of the signature.
        names_key: whether keys have names, in what is published and in what is signed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.person = "ada@example.org"
        self.spoil: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
        self.key = _KEY
        self.algorithm = "RS256"
        self.names_key = True
        self._codes: dict[str, dict[str, str]] = {}

    def application(self) -> FastAPI:
        """The provider's four addresses."""
        application = FastAPI()

        @application.get("/.well-known/openid-configuration")
        def describe() -> dict[str, Any]:
            return {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "id_token_signing_alg_values_supported": [self.algorithm],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            }

        @application.get("/keys")
        def keys() -> dict[str, Any]:
            published = _KEY.as_dict(private=False)
            return {"keys": [published if self.names_key else _without_name(published)]}

        @application.get("/authorize")
        def authorize(request: Request) -> Response:
            asked = dict(request.query_params)
            assert asked["client_id"] == CLIENT_ID
            assert asked["code_challenge_method"] == "S256"
            code = f"code-{len(self._codes)}"
            self._codes[code] = asked
            return RedirectResponse(
                f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 303
            )

        @application.post("/token")
        async def token(request: Request) -> Response:
            if request.headers.get("authorization") != f"Basic {_BASIC}":
                return JSONResponse({"error": "invalid_client"}, 401)
            form = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
            asked = self._codes.pop(form["code"], None)
            proven = asked and create_s256_code_challenge(form["code_verifier"]) == asked["code_challenge"]
            if asked is None or not proven:
                return JSONResponse({"error": "invalid_grant"}, 400)
            claims = self.spoil(self.claims(asked["nonce"]))
            header = {"alg": self.algorithm, "kid": "key-1"}
            header = header if self.names_key else _without_name(header)
            signed = jwt.encode(header, claims, self.key, algorithms=[self.algorithm])
            return JSONResponse({"access_token": "unused", "token_type": "Bearer", "id_token": signed})

        return application

    def claims(self, nonce: str) -> dict[str, Any]:
        """What it signs about the person."""
        now_s = int(time.time())
        return {
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": "1234",
            "preferred_username": self.person,
            "nonce": nonce,
            "iat": now_s,
            "exp": now_s + 300,
        }


@contextmanager
def running_provider() -> Iterator[Provider]:
    """A provider on a free port."""
    port = find_free_port()
    provider = Provider(f"http://127.0.0.1:{port}")
    with served(provider.application(), port=port):
        yield provider
