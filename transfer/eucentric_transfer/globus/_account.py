"""Who this machine is at Globus: a service with a secret, or a person who has logged in."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from globus_sdk import (
    AuthClient,
    AuthLoginClient,
    ClientApp,
    ConfidentialAppAuthClient,
    GlobusApp,
    GlobusAppConfig,
    NativeAppAuthClient,
    OAuthTokenResponse,
    TransferClient,
    UserApp,
)
from globus_sdk.gare import GlobusAuthorizationParameters
from globus_sdk.login_flows import CommandLineLoginFlowManager
from globus_sdk.scopes import AuthScopes
from globus_sdk.token_storage import SQLiteTokenStorage
from globus_sdk.transport import RetryConfig

from eucentric_core import ConfigurationError, GlobusSettings

from .._mover import FarEndError
from ._failures import login_needed, readable_failures

__all__ = ["SECRET_VARIABLE", "GlobusAccount", "HeldToken"]

SECRET_VARIABLE = "EUCENTRIC_GLOBUS_SECRET"  # noqa: S105 - the name of a variable, no secret
"""Environment variable that may hold a service's secret instead of `globus.secret_file`."""

_APP_NAME = "eucentric"
_WHO = [AuthScopes.openid, AuthScopes.profile]
_MAX_RETRIES = 4
_MAX_RETRY_SLEEP_S = 8.0
_MAX_SECRET_BYTES = 4096


@dataclass(frozen=True, slots=True)
class HeldToken:
    """What is known of a token besides itself."""

    service: str
    scope: str
    expires_in_s: float
    refreshed: bool


class GlobusAccount:
    """The application, its tokens and a client of the Transfer service. For one thread at a time: see `lock`.

    Args:
        settings: completed by `GlobusSettings.within`.
        ask_code: shows a person the address of the login page and returns the code they got there.
            None: nobody is there to ask, and a login that is needed is an error.

    Raises:
        ConfigurationError: the settings or the secret are missing, or others can read the secret.
    """

    def __init__(self, settings: GlobusSettings, *, ask_code: Callable[[str], str] | None = None) -> None:
        if settings.client_id is None or settings.folder is None:
            raise ConfigurationError(
                "The settings name no application of Globus.",
                safe="nothing was opened.",
                next_step="set `client_id` in the section [globus]; docs/globus.md says how to get one.",
            )
        self.lock = threading.RLock()
        self.settings = settings
        secret = _read_secret(settings) if settings.app == "service" else None
        self._storage = _open_storage(settings.folder, settings.client_id)
        config = GlobusAppConfig(
            token_storage=self._storage,
            request_refresh_tokens=settings.app == "person",
            # Without a person to ask, a consent that is missing is an error that says so.
            auto_redrive_gares=settings.app == "service" or ask_code is not None,
            login_flow_manager=_login_flow(ask_code) if settings.app == "person" else None,
        )
        try:
            with readable_failures("opening the account"):
                self._login, self.app = _open_app(settings.client_id, secret, config)
                self.transfer = TransferClient(app=self.app, retry_config=_retries())
        except BaseException:
            self._storage.close()
            raise

    def log_in(self, collections: Sequence[str] = ()) -> None:
        """Get new tokens, also for the data of mapped collections.

        Raises:
            FarEndError: Globus does not answer, or the secret or the code is not accepted.
        """
        with self.lock, readable_failures("logging in"):
            self.app.add_scope_requirements({AuthScopes.resource_server: _WHO})
            self.app.login(force=self.settings.app == "service" or not self._still_counts())
            mapped = [collection for collection in collections if self._wants_data_access(collection)]
            if mapped:
                self.transfer.add_app_data_access_scope(mapped)
                self.app.login(force=True)

    def _still_counts(self) -> bool:
        """Whether the tokens held are still accepted; none held is for the app to see."""
        if not self.logged_in():
            return True
        try:
            self.who()
        except FarEndError as error:
            if error.details.get("reason") != "credentials":
                raise
            return False
        return True

    def _wants_data_access(self, collection: str) -> bool:
        found = self.transfer.get_endpoint(collection)
        return found["entity_type"] == "GCSv5_mapped_collection" and not found.get("high_assurance")

    def log_out(self) -> None:
        """Revoke the tokens and forget them.

        Raises:
            FarEndError: Globus does not answer; the tokens are still valid and still here.
        """
        with self.lock, readable_failures("revoking the tokens"):
            self.app.logout(sweep=True)

    def logged_in(self) -> bool:
        """Whether there are tokens. Of a service: it gets them when it needs them."""
        return bool(self._storage.get_token_data_by_resource_server())

    def who(self) -> str:
        """The identity's name, or its id.

        Raises:
            FarEndError: Globus does not answer, or nobody is logged in.
        """
        with self.lock, readable_failures("asking who is logged in"):
            with AuthClient(app=self.app, app_scopes=_WHO) as client:
                found: dict[str, Any] = dict(client.userinfo().data)
            return str(found.get("preferred_username") or found["sub"])

    def tokens(self) -> tuple[HeldToken, ...]:
        """What is held, without the tokens themselves."""
        held = self._storage.get_token_data_by_resource_server().values()
        return tuple(
            HeldToken(
                token.resource_server,
                token.scope,
                token.expires_at_seconds - time.time(),
                token.refresh_token is not None,
            )
            for token in held
        )

    def close(self) -> None:
        """Let go of connections and of the storage."""
        with self.lock:
            self.transfer.close()
            self.app.close()
            self._login.close()
            self._storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _retries() -> RetryConfig:
    """For the services of tokens and transfers alike: left to itself the SDK may try for a minute."""
    return RetryConfig(max_retries=_MAX_RETRIES, max_sleep=_MAX_RETRY_SLEEP_S)


def _open_app(
    client_id: str, secret: str | None, config: GlobusAppConfig
) -> tuple[AuthLoginClient, GlobusApp]:
    """The application, and the client that gets its tokens, which the app does not close."""
    if secret is None:
        native = NativeAppAuthClient(client_id, app_name=_APP_NAME, retry_config=_retries())
        return native, UserApp(_APP_NAME, login_client=native, config=config)
    confidential = ConfidentialAppAuthClient(client_id, secret, app_name=_APP_NAME, retry_config=_retries())
    return confidential, ClientApp(_APP_NAME, login_client=confidential, config=config)


def _read_secret(settings: GlobusSettings) -> str:
    if (given := os.environ.get(SECRET_VARIABLE)) is not None:
        return given.strip()
    path = settings.secret_file
    try:
        if path is None:
            raise FileNotFoundError("no file is named")
        if os.name != "nt" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise PermissionError("others may read it")
        with path.open("rb") as stream:
            secret = stream.read(_MAX_SECRET_BYTES).decode("ascii").strip()
        if not secret or not secret.isprintable():
            raise ValueError("it holds no secret")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        # A decoding error would quote the secret.
        reason = "it holds no secret" if isinstance(error, UnicodeError) else reason
        raise ConfigurationError(
            f"The secret of the Globus service cannot be read: {reason}.",
            safe="nothing was opened.",
            next_step=f"write it into the file that `globus.secret_file` names, readable by its owner alone "
            f"(chmod 600), or into {SECRET_VARIABLE}.",
        ) from None
    return secret


def _open_storage(folder: Path, namespace: str) -> SQLiteTokenStorage:
    path = folder / "tokens.db"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() and os.name != "nt":
            path.chmod(0o600)
    except OSError as error:
        raise ConfigurationError(
            f"The folder for Globus tokens, {folder}, cannot be used: {error.strerror or error}.",
            safe="nothing was opened.",
            next_step="check the folder's owner, or name another one by `globus.folder`.",
        ) from error
    # Two applications on one machine do not see each other's tokens.
    return SQLiteTokenStorage(
        path, connect_params={"check_same_thread": False, "timeout": 10.0}, namespace=namespace
    )


def _login_flow(ask_code: Callable[[str], str] | None) -> type[_LoginFlow]:
    """The login flow of an app, which the app itself makes: it asks a person, or refuses where none is."""

    if ask_code is None:
        return _LoginFlow
    ask_person: Callable[[str], str] = ask_code

    class Flow(_LoginFlow):
        def ask(self, url: str) -> str:
            return ask_person(url)

    return Flow


class _LoginFlow(CommandLineLoginFlowManager):
    def ask(self, url: str) -> str:
        raise login_needed("Globus wants a person to log in, and none is here to ask.")

    def run_login_flow(self, auth_parameters: GlobusAuthorizationParameters) -> OAuthTokenResponse:
        code = self.ask(self._get_authorize_url(auth_parameters, self.redirect_uri))
        return self.login_client.oauth2_exchange_code_for_tokens(code.strip())
