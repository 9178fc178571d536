"""Every request and every websocket passes here first: who is it, and does it come from our own page?"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ._door import Door

__all__ = ["Gate", "from_own_page"]

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_OPEN_PATHS = ("/login", "/login/oidc", "/login/oidc/callback", "/logout", "/health")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "frame-ancestors 'none'; object-src 'none'; base-uri 'self'",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def from_own_page(connection: HTTPConnection, public_url: str | None) -> bool:
    """Whether a browser sends this from a page of this dashboard.

    Browsers name the page's origin with every websocket and every request that may change something, and no
    page can make them name another (OWASP, cross-site request forgery: verifying the origin).
    """
    origin = connection.headers.get("origin")
    if origin is None:
        return connection.headers.get("sec-fetch-site") == "same-origin"
    sent = urlsplit(origin)
    if public_url is not None and (sent.scheme, sent.netloc) == urlsplit(public_url)[:2]:
        return True
    return sent.netloc != "" and sent.netloc == connection.headers.get("host")


class Gate:
    """ASGI middleware, the outermost but for the check of the host's name.

    Args:
        application: what is behind it; finds the person as `request.state.person`.
        door: knows who is logged in.
        public_url: see `DashboardSettings`.
    """

    def __init__(self, application: ASGIApp, *, door: Door, public_url: str | None) -> None:
        self._application = application
        self._door = door
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through, or answer."""
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        answer = self._judge(connection)
        if answer is None:
            await self._application(scope, receive, _hardened(send, self._door.secure))
        elif scope["type"] == "websocket":
            # Closed before it is accepted: the browser is answered 403.
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answer(scope, receive, _hardened(send, self._door.secure))

    def _judge(self, connection: HTTPConnection) -> Response | None:
        scope = connection.scope
        changing = scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS
        if changing and not from_own_page(connection, self._public_url):
            return JSONResponse({"what": "This was not sent by a page of this dashboard."}, 403)
        wants_page = "text/html" in connection.headers.get("accept", "")
        person = self._door.find(connection, used=wants_page)
        connection.state.person = person
        if person is not None or scope["path"] in _OPEN_PATHS:
            return None
        if scope["type"] == "http" and wants_page and not changing:
            wanted = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
            return RedirectResponse(f"/login?next={quote(wanted, safe='')}", 303)
        return JSONResponse({"what": "Log in first.", "login": "/login"}, 401)


def _hardened(send: Send, secure: bool) -> Send:
    async def send_hardened(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if secure:
                headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            if headers.get("content-type", "").startswith("text/html"):
                headers["Cache-Control"] = "no-store"
        await send(message)

    return send_hardened
