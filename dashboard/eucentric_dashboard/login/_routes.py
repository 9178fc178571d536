"""Logging in and out: plain HTML, because nothing of the pages is served to strangers."""

from __future__ import annotations

import logging
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse

from eucentric_core import EucentricError, NotAuthorisedError, Settings

from .._person import Person
from ._door import Door
from ._oidc import OidcLogin
from ._people import People
from ._throttle import LoginThrottle

__all__ = ["login_router"]

_PAGE = Template(Path(__file__).with_name("login.html").read_text(encoding="utf-8"))
_CSP = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_ADDRESS_FAILURES = 30

_log = logging.getLogger(__name__)


def login_router(settings: Settings, door: Door, people: People | None) -> APIRouter:
    """Routes `/login`, `/logout` and, where a provider is set, `/login/oidc`.

    Raises:
        ConfigurationError: the settings of the provider cannot be used.
    """
    router = APIRouter()
    if people is None:
        # Nobody logs in here.
        @router.get("/login")
        def nothing_to_do() -> Response:
            return RedirectResponse("/", 303)

        return router
    by_name, by_address = LoginThrottle(), LoginThrottle(free_failures=_ADDRESS_FAILURES)
    chosen = settings.dashboard.oidc
    oidc = None if chosen is None else OidcLogin(settings.dashboard, chosen)

    def page(next_path: str, error: EucentricError | None = None, status: int = 200) -> Response:
        return _login_page(settings, people, next_path, error, status)

    def let_in(person: Person, next_path: str, provider: str | None) -> Response:
        _log.info("%s (%s) logged in by %s", person.name, person.role, provider or "password")
        answer = RedirectResponse(_local(next_path), 303)
        answer.set_cookie(
            door.cookie,
            people.sessions.begin(person, provider=provider),
            max_age=int(settings.dashboard.session_max_s),
            httponly=True,
            secure=door.secure,
            samesite="lax",
        )
        return answer

    @router.get("/login")
    def show(request: Request, next: str = "/") -> Response:
        if request.state.person is not None:
            return RedirectResponse(_local(next), 303)
        return page(next)

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=8)
        name, password, next_path = (str(form.get(key, "")) for key in ("name", "password", "next"))
        name = name.strip().lower()
        address = request.client.host if request.client else "unknown"
        try:
            by_name.require_allowed(name)
            by_address.require_allowed(address)
            person = await run_in_threadpool(people.accounts.verify, name, password)
        except NotAuthorisedError as error:
            if "wait_s" not in error.details:
                by_name.failed(name)
                by_address.failed(address)
            _log.warning("login refused for %r from %s: %s", name, address, error.what)
            return page(next_path, error, 429 if "wait_s" in error.details else 403)
        by_name.succeeded(name)
        return await run_in_threadpool(let_in, person, next_path, None)

    @router.post("/logout")
    def log_out(request: Request) -> Response:
        people.sessions.end(request.cookies.get(door.cookie, ""))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(door.cookie, httponly=True, secure=door.secure, samesite="lax")
        return answer

    if oidc is not None:
        provider = oidc

        @router.get("/login/oidc")
        def go_to_provider(next: str = "/") -> Response:
            try:
                address, binding = provider.begin(_local(next))
            except EucentricError as error:
                return page(next, error, 502)
            answer = RedirectResponse(address, 303)
            answer.set_cookie(
                f"{door.cookie}-oidc", binding, max_age=600, httponly=True, secure=door.secure, samesite="lax"
            )
            return answer

        @router.get("/login/oidc/callback")
        def come_back(request: Request) -> Response:
            binding = request.cookies.get(f"{door.cookie}-oidc", "")
            try:
                person, next_path = provider.finish(dict(request.query_params), binding)
            except EucentricError as error:
                _log.warning("login by %s refused: %s", provider.name, error.what)
                return page("/", error, 403)
            answer = let_in(person, next_path, provider.name)
            answer.delete_cookie(f"{door.cookie}-oidc", httponly=True, secure=door.secure, samesite="lax")
            return answer

    return router


def _local(path: str) -> str:
    """Where to go after the login: a path of this dashboard, never another machine."""
    fine = path.startswith("/") and not path.startswith(("//", "/\\", "/login")) and path.isprintable()
    return path if fine else "/"


def _login_page(
    settings: Settings, people: People, next_path: str, error: EucentricError | None, status: int
) -> Response:
    oidc = settings.dashboard.oidc
    told = ""
    if error is not None:
        words = f"<strong>{escape(error.what)}</strong> {escape(error.next_step)}"
        told = f'<p class="told" role="alert">{words}</p>'
    elif oidc is None and not people.accounts.all():
        told = (
            '<p class="told" role="status"><strong>There is no account yet.</strong> On the machine of the '
            "dashboard: <code>eucentric dashboard users add NAME --role admin</code></p>"
        )
    provider = ""
    if oidc is not None:
        address = f"/login/oidc?next={quote(_local(next_path), safe='')}"
        provider = f'<a class="provider" href="{address}">Log in with {escape(oidc.name)}</a>'
    body = _PAGE.substitute(
        instrument=escape(settings.agent.name), next=escape(_local(next_path)), told=told, provider=provider
    )
    return HTMLResponse(body, status, headers={"Content-Security-Policy": _CSP})
