"""Who is let in, for how long, and what is asked of every request that may change something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.websockets import WebSocket
from typer.testing import CliRunner
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from eucentric_core import CommandRefusedError, NotAuthorisedError, Role, Settings, load_settings
from eucentric_dashboard._cli import app as cli
from eucentric_dashboard._person import Person
from eucentric_dashboard.login import Door, Gate, LoginThrottle, People, login_router
from eucentric_dashboard.login._throttle import wait_s

from .web import served

PASSWORD = "correct horse battery"  # noqa: S105 - of a test


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(flags={"home": str(tmp_path)}, environment={})


@pytest.fixture
def people(settings: Settings) -> Iterator[People]:
    opened = People.of(settings)
    opened.accounts.add("ada", Role.SCIENTIST, PASSWORD)
    yield opened
    opened.close()


@pytest.fixture
def browser(settings: Settings, people: People) -> Iterator[httpx.Client]:
    """Behind the gate: `/` tells who asks, `/change` changes something, `/socket` greets."""
    door = Door(settings, people)
    application = FastAPI()
    application.add_middleware(Gate, door=door, public_url=None)
    application.include_router(login_router(settings, door, people))

    @application.get("/")
    def whose(request: Request) -> str:
        person: Person = request.state.person
        return f"{person.name} {person.role}"

    @application.post("/change")
    def change() -> str:
        return "changed"

    @application.websocket("/socket")
    async def greet(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    with served(application) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def own(browser: httpx.Client) -> dict[str, str]:
    """What a browser says of a page of the dashboard itself."""
    return {"Origin": str(browser.base_url).rstrip("/")}


def greeting(browser: httpx.Client, origin: str | None) -> str:
    """What the websocket says to a browser with these cookies at a page of this origin."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    address = own(browser)["Origin"].replace("http", "ws", 1) + "/socket"
    named = None if origin is None else Origin(origin)
    with connect(address, additional_headers={"Cookie": cookies}, origin=named, open_timeout=30) as socket:
        return str(socket.recv(timeout=30))


def log_in(browser: httpx.Client, password: str = PASSWORD, **fields: str) -> httpx.Response:
    form = {"name": "ada", "password": password, **fields}
    return browser.post("/login", data=form, headers=own(browser))


def test_a_stranger_is_sent_to_the_login_and_back_to_where_they_wanted_to_go(browser: httpx.Client) -> None:
    answer = browser.get("/?instrument=titan", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2F%3Finstrument%3Dtitan")
    assert browser.get("/").status_code == 401, "what is no page gets no page"

    answer = log_in(browser, next="/?instrument=titan")

    assert (answer.status_code, answer.headers["location"]) == (303, "/?instrument=titan")
    assert browser.get("/").json() == "ada scientist"


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(browser: httpx.Client) -> None:
    cookie = log_in(browser).headers["set-cookie"].lower()

    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie, "this page was not reached by TLS"


@pytest.mark.parametrize("changed", [{"public_url": "https://hub.example.org"}])
def test_behind_tls_the_cookie_never_leaves_it(settings: Settings, changed: dict[str, str]) -> None:
    dashboard = settings.dashboard.model_copy(update=changed)
    door = Door(settings.model_copy(update={"dashboard": dashboard}), None)

    assert door.secure
    assert door.cookie.startswith("__Host-")


@pytest.mark.parametrize("elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "login"])
def test_a_login_leads_nowhere_else(browser: httpx.Client, elsewhere: str) -> None:
    assert log_in(browser, next=elsewhere).headers["location"] == "/"


def test_what_is_shown_of_an_address_is_no_html(browser: httpx.Client) -> None:
    page = browser.get("/login", params={"next": '/"><script>alert(1)</script>'}).text

    assert "<script>" not in page


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_nothing_is_changed_for_another_site(browser: httpx.Client, headers: dict[str, str]) -> None:
    log_in(browser)

    assert browser.post("/change", headers=headers).status_code == 403
    assert (
        browser.post("/login", data={"name": "ada", "password": PASSWORD}, headers=headers).status_code == 403
    )
    assert browser.post("/logout", headers=headers).status_code == 403
    assert browser.get("/").json() == "ada scientist", "still logged in"


def test_its_own_pages_may_change_something(browser: httpx.Client) -> None:
    log_in(browser)

    assert browser.post("/change", headers=own(browser)).json() == "changed"


def test_a_websocket_opens_for_own_pages_of_people_who_are_logged_in_alone(browser: httpx.Client) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        greeting(browser, own(browser)["Origin"])
    log_in(browser)
    for origin in (None, "https://evil.example"):
        with pytest.raises(InvalidStatus, match="403"):
            greeting(browser, origin)

    assert greeting(browser, own(browser)["Origin"]) == "hello"


def test_logging_out_ends_the_session_on_the_server(browser: httpx.Client) -> None:
    log_in(browser)
    kept = dict(browser.cookies)

    assert browser.post("/logout", headers=own(browser)).headers["location"] == "/login"

    browser.cookies.update(kept)
    assert browser.get("/").status_code == 401


def test_five_failures_of_a_name_make_even_the_right_password_wait(browser: httpx.Client) -> None:
    assert [log_in(browser, "wrong").status_code for _ in range(5)] == [403] * 5

    answer = log_in(browser)

    assert answer.status_code == 429
    assert re.search(r"try again in \d+ s", answer.text)


def test_the_wait_doubles_and_ends_at_five_minutes() -> None:
    assert [wait_s(failures) for failures in (4, 5, 6, 7, 20)] == [0, 1, 2, 4, 300]


def test_a_wait_is_over_when_it_is_over_and_forgotten_with_the_right_password() -> None:
    clock = [0.0]
    throttle = LoginThrottle(now_s=lambda: clock[0])
    for _ in range(6):
        throttle.failed("ada")
    with pytest.raises(NotAuthorisedError, match="Too many"):
        throttle.require_allowed("ada")
    throttle.require_allowed("bob")
    clock[0] = 2.5
    throttle.require_allowed("ada")
    throttle.succeeded("ada")
    throttle.failed("ada")
    throttle.require_allowed("ada")


def test_a_removed_account_is_out_at_once_and_a_changed_role_in_force_at_once(
    browser: httpx.Client, people: People
) -> None:
    log_in(browser)
    people.accounts.change_role("ada", Role.VIEWER)
    assert browser.get("/").json() == "ada viewer"

    people.accounts.remove("ada")

    assert browser.get("/").status_code == 401


def test_a_new_password_ends_what_the_old_one_opened(browser: httpx.Client, people: People) -> None:
    log_in(browser)

    people.accounts.change_password("ada", "another long password")

    assert browser.get("/").status_code == 401
    assert log_in(browser).status_code == 403
    assert log_in(browser, "another long password").status_code == 303


def test_sessions_end_when_idle_and_in_any_case(people: People) -> None:
    clock = [1e9]
    sessions = people.sessions
    sessions._now_s = lambda: clock[0]
    ada = Person("ada", Role.SCIENTIST)
    used, unused = sessions.begin(ada), sessions.begin(ada)
    for _ in range(8):
        clock[0] += 3 * 3600 - 1
        if sessions.find(used, used=True) is None:
            break
    assert clock[0] - 1e9 > 23 * 3600, "the one that is used lasts a day"
    assert sessions.find(used) is None or clock[0] - 1e9 < 24 * 3600
    assert sessions.find(unused, used=True) is None, "the other one eight hours"
    clock[0] = 1e9 - 1
    assert sessions.find(sessions.begin(ada)) is not None
    assert sessions.find(used) is None, "a clock set back makes no session last longer"


def test_sessions_survive_a_restart_and_only_their_hash_is_on_disk(
    settings: Settings, people: People
) -> None:
    token = people.sessions.begin(Person("ada", Role.SCIENTIST))
    again = People.of(settings)
    try:
        assert again.sessions.find(token) == Person("ada", Role.SCIENTIST)
    finally:
        again.close()
    content = b"".join(path.read_bytes() for path in (settings.home / "dashboard").iterdir())
    assert token.encode() not in content
    assert PASSWORD.encode() not in content
    assert b"$argon2id$" in content


@pytest.mark.parametrize(
    ("name", "password", "words"),
    [
        ("ada", "a long enough password", "already"),
        ("Ada Lovelace", "a long enough password", "cannot be the name"),
        ("bob", "short", "5 characters"),
    ],
)
def test_accounts_that_cannot_be_are_refused(people: People, name: str, password: str, words: str) -> None:
    with pytest.raises(CommandRefusedError, match=words):
        people.accounts.add(name, Role.VIEWER, password)


def test_accounts_are_kept_by_the_command_line(tmp_path: Path) -> None:
    runner = CliRunner(env={"EUCENTRIC__HOME": str(tmp_path)})

    def users(*words: str, given: str = "") -> str:
        outcome = runner.invoke(cli, ["users", *words], input=given)
        return outcome.stdout + outcome.stderr

    assert "No account yet" in users("ls")
    assert "ada may log in as operator." in users("add", "ada", "--role", "operator", given=f"{PASSWORD}\n")
    assert re.search(r"ada\s+operator", users("ls"))
    assert "already" in users("add", "ada", given=f"{PASSWORD}\n")
    assert "logged out everywhere" in users("passwd", "ada", given="another long password\n")
    assert "ada is viewer now" in users("role", "ada", "viewer")
    assert "removed" in users("rm", "ada")
    assert "no account" in users("rm", "ada")
