"""What Prefect's database has no time for is asked again at once, and nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import httpx
import pytest

from eucentric_core.transport import find_free_port
from eucentric_flows._prefect_client import PromptAsyncTransport, PromptTransport, httpx_settings

from ..servers.http_relay import Answer, Relay, running_relay

Post = Callable[[str], httpx.Response]


@pytest.fixture
def server() -> Iterator[Relay]:
    with running_relay(find_free_port()) as relay:
        yield relay


def _post(url: str) -> httpx.Response:
    with httpx.Client(transport=PromptTransport()) as client:
        return client.post(url, json={"flow": "retrain"})


def _post_asynchronously(url: str) -> httpx.Response:
    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=PromptAsyncTransport()) as client:
            return await client.post(url, json={"flow": "retrain"})

    return asyncio.run(post())


@pytest.fixture(params=[_post, _post_asynchronously])
def post(request: pytest.FixtureRequest) -> Post:
    return request.param


def test_a_busy_database_is_asked_again_with_the_whole_request(server: Relay, post: Post) -> None:
    server.answer = lambda _method, _path: Answer(503 if len(server.requests) < 3 else 201, b"made")
    answer = post(server.url)
    assert (answer.status_code, answer.text) == (201, "made")
    assert len(server.requests) == 3
    assert len({request.body_bytes for request in server.requests}) == 1
    assert server.requests[0].body_bytes > 0


def test_what_stays_busy_is_said(server: Relay, post: Post) -> None:
    server.answer = lambda _method, _path: Answer(503, b"busy")
    answer = post(server.url)
    assert (answer.status_code, answer.text) == (503, "busy")
    assert len(server.requests) > 1


@pytest.mark.parametrize("status", [200, 404, 429, 500])
def test_no_other_answer_is_asked_for_again(server: Relay, post: Post, status: int) -> None:
    server.answer = lambda _method, _path: Answer(status)
    assert post(server.url).status_code == status
    assert len(server.requests) == 1


def test_a_server_elsewhere_is_left_to_prefects_own_client() -> None:
    assert httpx_settings("https://hub.example.org/prefect/api") == {}
    assert httpx_settings("https://hub.example.org/prefect/api", asynchronous=True) == {}


def test_a_local_server_gets_the_transport_of_its_kind() -> None:
    url = "http://127.0.0.1:4200/api"
    with httpx.Client(**httpx_settings(url)) as client:
        assert not client.is_closed
    assert isinstance(httpx_settings(url)["transport"], PromptTransport)
    assert isinstance(httpx_settings(url, asynchronous=True)["transport"], PromptAsyncTransport)
