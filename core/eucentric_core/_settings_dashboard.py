"""The web page: where it listens, who may log in, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ._access import Role
from ._model import FrozenModel

__all__ = ["DashboardSettings", "OidcSettings"]

_Port = Annotated[int, Field(ge=1, le=65535)]
_Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+[^\s]*$")]
_AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
_Claim = Annotated[str, Field(min_length=1, max_length=200)]


class OidcSettings(FrozenModel):
    """Login by an OpenID Connect provider, such as Globus Auth (authorization code with PKCE).

    Args:
        issuer: its address, `https://auth.globus.org`; it is asked for everything else.
        client_id: of this dashboard there.
        client_secret_file: holds the client's secret, readable by this user alone; none for a public client.
        name: shown on the button.
        name_claim: the claim of the ID token that names the person here, in lease and audit log.
        roles: from the value of that claim to the person's role.
        other_role: of whoever the provider knows and `roles` does not name; left out, they may not enter.
        scopes: asked for.
    """

    issuer: _Url
    client_id: Annotated[str, Field(min_length=1, max_length=300)]
    client_secret_file: _AbsolutePath | None = None
    name: Annotated[str, Field(min_length=1, max_length=60)] = "single sign-on"
    name_claim: _Claim = "preferred_username"
    roles: dict[_Claim, Role] = {}
    other_role: Role | None = None
    scopes: tuple[_Claim, ...] = ("openid", "profile", "email")


class DashboardSettings(FrozenModel):
    """The web page for scientists.

    Args:
        host: address to listen on; other than loopback only with `certificate` and `key`.
        port: of the page.
        login: `accounts` (and `oidc`, where it is set), or `none`: then whoever reaches the page, on
            loopback only, is `open_role`.
        open_role: see `login`.
        names: of this machine, as browsers elsewhere give them (`hub.example.org`); others are refused.
        public_url: under which browsers see the page, if a proxy stands before it.
        certificate: of the web server, PEM.
        key: its private key, PEM.
        oidc: a provider that people may log in by.
        session_idle_s: a login ends when nothing was opened or done for so long.
        session_max_s: and after so long in any case.
    """

    host: str = "127.0.0.1"
    port: _Port = 8080
    login: Literal["accounts", "none"] = "accounts"
    open_role: Role = Role.VIEWER
    names: tuple[Annotated[str, Field(min_length=1, max_length=253)], ...] = ()
    public_url: _Url | None = None
    certificate: _AbsolutePath | None = None
    key: _AbsolutePath | None = None
    oidc: OidcSettings | None = None
    session_idle_s: Annotated[float, Field(ge=60, le=7 * 86400)] = 8 * 3600.0
    session_max_s: Annotated[float, Field(ge=60, le=31 * 86400)] = 24 * 3600.0

    @model_validator(mode="after")
    def _check_certificate(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key come together")
        return self
