"""How we speak to Prefect: what its database has no time for is asked again at once. Imports no Prefect.

A local Prefect keeps its database in SQLite. A transaction that has read, and would write after another one
has written, cannot go on there (`SQLITE_BUSY_SNAPSHOT`, https://www.sqlite.org/isolation.html); Prefect
answers 503, nothing has happened, and the same request succeeds a moment later. An event that arrives makes
Prefect write just when a policy orders a flow run because of it. Prefect's own client waits 2 s and more
before it asks again.
"""

from __future__ import annotations

from typing import Any

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_result,
    stop_after_delay,
    wait_random_exponential,
)

from eucentric_core import is_loopback

__all__ = ["PromptAsyncTransport", "PromptTransport", "httpx_settings"]

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.2
_KEEP_ASKING_S = 1.0
_BUSY = 503
# What Prefect's client sets for a transport of its own.
_RECONNECTS = 3
_LIMITS = httpx.Limits(max_connections=16, max_keepalive_connections=8, keepalive_expiry=25)


def httpx_settings(api_url: str, *, asynchronous: bool = False) -> dict[str, Any]:
    """What Prefect's client at this address is made with (`httpx_settings`).

    A Prefect elsewhere has a database that does not need this, and may be behind a proxy that httpx finds
    only for transports of its own.
    """
    if not is_loopback(httpx.URL(api_url).host):
        return {}
    return {"transport": PromptAsyncTransport() if asynchronous else PromptTransport()}


class PromptTransport(httpx.BaseTransport):
    """Sends a request again, for a second at most, while the answer is that the database is busy.

    Args:
        inner: sends; one of its own by default.
    """

    def __init__(self, inner: httpx.BaseTransport | None = None) -> None:
        self._inner = inner or httpx.HTTPTransport(retries=_RECONNECTS, limits=_LIMITS)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See `httpx.BaseTransport`."""

        def let_go(state: RetryCallState) -> None:
            _answer_of(state).close()

        return Retrying(before_sleep=let_go, **_HOW)(self._inner.handle_request, request)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


class PromptAsyncTransport(httpx.AsyncBaseTransport):
    """The same for asynchronous clients.

    Args:
        inner: sends; one of its own by default.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport | None = None) -> None:
        self._inner = inner or httpx.AsyncHTTPTransport(retries=_RECONNECTS, limits=_LIMITS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See `httpx.AsyncBaseTransport`."""

        async def let_go(state: RetryCallState) -> None:
            await _answer_of(state).aclose()

        return await AsyncRetrying(before_sleep=let_go, **_HOW)(self._inner.handle_async_request, request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


def _is_busy(answer: httpx.Response) -> bool:
    return answer.status_code == _BUSY and "Retry-After" not in answer.headers


def _answer_of(state: RetryCallState) -> httpx.Response:
    if state.outcome is None:
        raise RuntimeError("there is no answer yet")
    answer: httpx.Response = state.outcome.result()
    return answer


_HOW: dict[str, Any] = {
    "retry": retry_if_result(_is_busy),
    "wait": wait_random_exponential(_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S),
    "stop": stop_after_delay(_KEEP_ASKING_S),
    # The last answer then is the answer.
    "retry_error_callback": _answer_of,
}
