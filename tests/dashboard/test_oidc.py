"""Login by another provider's word, and the words that are not believed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from joserfc.jwk import RSAKey

from eucentric_core import ConfigurationError, Role, ServiceUnavailableError, Settings, load_settings
from eucentric_core.transport import find_free_port
from eucentric_dashboard.login import Door, Gate, People, login_router
from eucentric_dashboard.login._oidc import OidcLogin

from .oidc_provider import CLIENT_ID, SECRET, Provider, running_provider
from .web import served


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, provider: Provider) -> Settings:
    provider.person, provider.spoil = "ada@example.org", lambda claims: claims
    provider.algorithm, provider.names_key = "RS256", True
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text(f"{SECRET}\n")
    return load_settings(
        flags={
            "home": str(tmp_path),
            "dashboard": {
                "port": find_free_port(),
                "oidc": {
                    "issuer": provider.url,
                    "client_id": CLIENT_ID,
                    "client_secret_file": str(secret),
                    "roles": {"ada@example.org": "operator"},
                },
            },
        },
        environment={},
    )


@pytest.fixture
def browser(settings: Settings) -> Iterator[httpx.Client]:
    people = People.of(settings)
    door = Door(settings, people)
    application = FastAPI()
    application.add_middleware(Gate, door=door, public_url=None)
    application.include_router(login_router(settings, door, people))

    @application.get("/whose")
    def whose(request: Request) -> str:
        return f"{request.state.person.name} {request.state.person.role}"

    with (
        served(application, port=settings.dashboard.port) as url,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        yield client
    people.close()


def come_back(browser: httpx.Client) -> str:
    """Go to the provider and up to the address it sends the browser back to."""
    there = browser.get("/login/oidc", params={"next": "/whose"})
    return browser.get(there.headers["location"]).headers["location"]


def test_who_the_provider_confirms_comes_in_with_their_role(browser: httpx.Client) -> None:
    answer = browser.get(come_back(browser))

    assert (answer.status_code, answer.headers["location"]) == (303, "/whose")
    assert browser.get("/whose").json() == "ada@example.org operator"


def test_it_comes_in_by_a_word_such_as_globus_auth_gives(browser: httpx.Client, provider: Provider) -> None:
    """RS512, one key without a name, and claims of its own beside those of the standard."""
    provider.algorithm, provider.names_key = "RS512", False
    linked = {"sub": "ae341a98-d274-11e5-b888-dbae3a8ba545", "username": "ada@globusid.org"}
    provider.spoil = lambda claims: {
        **claims,
        "at_hash": "c9dHlWCXxJpOBYNq7DJYwQ",
        "name": "Ada Lovelace",
        "email": "ada@example.org",
        "organization": "Analytical Engines",
        "identity_provider": "41143743-f3c8-4d60-bbdb-eeecaba85bd9",
        "identity_provider_display_name": "Globus ID",
        "identity_set": [{**linked, "last_authentication": None}],
        "last_authentication": int(time.time()),
    }

    assert browser.get(come_back(browser)).status_code == 303
    assert browser.get("/whose").json() == "ada@example.org operator"


def test_whom_the_settings_do_not_name_stays_outside(browser: httpx.Client, provider: Provider) -> None:
    provider.person = "eve@example.org"

    answer = browser.get(come_back(browser))

    assert answer.status_code == 403
    assert "eve@example.org has no role at this dashboard" in answer.text
    assert browser.get("/whose").status_code == 401


def expired(claims: dict[str, Any]) -> dict[str, Any]:
    return {**claims, "exp": int(time.time()) - 3600}


@pytest.mark.parametrize(
    "spoil",
    [
        expired,
        lambda claims: {**claims, "nonce": "of another login"},
        lambda claims: {**claims, "aud": "another dashboard"},
        lambda claims: {**claims, "iss": "https://evil.example"},
        lambda claims: {**claims, "azp": "another dashboard"},
        lambda claims: {key: value for key, value in claims.items() if key != "exp"},
        lambda claims: {key: value for key, value in claims.items() if key != "preferred_username"},
    ],
    ids=["expired", "nonce", "audience", "issuer", "authorised party", "no expiry", "no name"],
)
def test_a_word_that_does_not_hold_lets_nobody_in(
    browser: httpx.Client, provider: Provider, spoil: Any
) -> None:
    provider.spoil = spoil

    assert browser.get(come_back(browser)).status_code == 403
    assert browser.get("/whose").status_code == 401


def test_a_word_that_another_key_signed_lets_nobody_in(
    browser: httpx.Client, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "key", RSAKey.generate_key(2048, {"kid": "key-1"}, auto_kid=False))

    assert browser.get(come_back(browser)).status_code == 403


def test_an_answer_counts_once_and_in_the_browser_that_asked(browser: httpx.Client) -> None:
    address = come_back(browser)
    with httpx.Client(base_url=browser.base_url, timeout=30) as another:
        assert another.get(address).status_code == 403, "login CSRF: somebody else's answer"
    assert browser.get(address).status_code == 403, "it was used up"
    assert browser.get("/login/oidc/callback", params={"code": "x", "state": "made up"}).status_code == 403


def test_a_provider_that_says_no_is_told(browser: httpx.Client) -> None:
    there = browser.get("/login/oidc").headers["location"]
    state = httpx.URL(there).params["state"]

    answer = browser.get("/login/oidc/callback", params={"error": "access_denied", "state": state})

    assert (answer.status_code, "access_denied" in answer.text) == (403, True)


def test_a_silent_provider_leaves_the_accounts_as_another_way(settings: Settings) -> None:
    oidc = settings.dashboard.oidc
    assert oidc is not None
    silent = oidc.model_copy(update={"issuer": f"http://127.0.0.1:{find_free_port()}"})

    with pytest.raises(ServiceUnavailableError, match="does not answer"):
        OidcLogin(settings.dashboard, silent).begin("/")


def test_a_provider_without_tls_is_refused(settings: Settings) -> None:
    oidc = settings.dashboard.oidc
    assert oidc is not None
    with pytest.raises(ConfigurationError, match="without TLS"):
        OidcLogin(settings.dashboard, oidc.model_copy(update={"issuer": "http://auth.example.org"}))


def test_roles_of_others_may_be_given_to_all_the_provider_knows(
    settings: Settings, provider: Provider
) -> None:
    oidc = settings.dashboard.oidc
    assert oidc is not None
    login = OidcLogin(settings.dashboard, oidc.model_copy(update={"other_role": Role.VIEWER}))
    provider.person = "guest@example.org"
    address, binding = login.begin("/")
    back = httpx.URL(httpx.get(address, timeout=30).headers["location"])

    person, _ = login.finish(dict(back.params), binding)

    assert (person.name, person.role) == ("guest@example.org", Role.VIEWER)
