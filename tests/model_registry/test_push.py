"""A promotion reaches the edges at once: MLflow reports it, the hub believes nothing of it, edges look."""

from __future__ import annotations

import http.client
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq
from mlflow import MlflowClient

from eucentric_core import load_settings
from eucentric_core.transport import find_free_port
from eucentric_model_registry import Deployment, pushing
from eucentric_model_registry._courier import Courier
from eucentric_model_registry._push import WEBHOOK, make_webhook, webhook_secret
from eucentric_model_registry._push_receiver import receiving_hints
from eucentric_model_registry._webhook_signature import HintRefusedError, SignatureCheck, signature_of

from ..edge.bench import Edge, microscope
from .edge_door import serving_door
from .hub import Hub

SECRET = "a word that two machines know"  # noqa: S105
BODY = b'{"entity": "model_version_alias", "action": "created"}'
PATIENCE_S = 60.0


def signed(
    body: bytes = BODY, *, delivery: str = "d-1", at_s: int | None = None, secret: str = SECRET
) -> dict[str, str]:
    timestamp = str(int(time.time()) if at_s is None else at_s)
    return {
        "X-MLflow-Signature": signature_of(secret, delivery, timestamp, body),
        "X-MLflow-Timestamp": timestamp,
        "X-MLflow-Delivery-Id": delivery,
    }


def until(true: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.05)


def test_the_signature_is_the_one_that_mlflow_makes() -> None:
    from mlflow.webhooks.delivery import _generate_hmac_signature

    made = _generate_hmac_signature(SECRET, "d-1", "1700000000", BODY.decode())
    assert signature_of(SECRET, "d-1", "1700000000", BODY) == made


@pytest.mark.parametrize(
    ("headers", "body", "why"),
    [
        ({}, BODY, "not signed"),
        (signed(at_s=1000) | {"X-MLflow-Timestamp": "soon"}, BODY, "not signed"),
        (signed(at_s=1000, secret="another"), BODY, "does not fit"),  # noqa: S106
        (signed(at_s=1000), BODY + b" ", "does not fit"),
        (signed(at_s=1000) | {"X-MLflow-Delivery-Id": "d-2"}, BODY, "does not fit"),
        (signed(at_s=699), BODY, "older than five minutes"),
        (signed(at_s=1301), BODY, "older than five minutes"),
    ],
)
def test_what_is_not_signed_here_and_now_is_no_hint(headers: dict[str, str], body: bytes, why: str) -> None:
    lower = {name.lower(): value for name, value in headers.items()}
    with pytest.raises(HintRefusedError, match=why):
        SignatureCheck(SECRET).accept(lower, body, now_s=1000.0)


def test_a_hint_counts_once() -> None:
    check = SignatureCheck(SECRET)
    headers = {name.lower(): value for name, value in signed(at_s=1000).items()}
    check.accept(headers, BODY, now_s=1000.0)
    with pytest.raises(HintRefusedError, match="received before"):
        check.accept(headers, BODY, now_s=1001.0)


def posted(port: int, body: bytes, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_only_what_is_signed_makes_edges_look() -> None:
    hints: list[int] = []
    with receiving_hints(0, SECRET, lambda: hints.append(1)) as port:
        assert posted(port, BODY, {}) == 401
        assert posted(port, BODY, signed(secret="another")) == 401  # noqa: S106
        assert posted(port, BODY, {"Content-Length": str(1 << 30)}) == 413
        assert hints == []
        assert posted(port, BODY, signed()) == 202
        assert posted(port, BODY, signed()) == 401
        assert posted(port, b"not even JSON", signed(b"not even JSON", delivery="d-2")) == 202
    assert hints == [1, 1]


@contextmanager
def carrying(courier: Courier) -> Iterator[Courier]:
    thread = threading.Thread(target=courier.run)
    thread.start()
    try:
        yield courier
    finally:
        courier.stop()
        thread.join()


def test_a_thousand_hints_are_a_few_looks_at_every_edge(tmp_path: Path) -> None:
    with serving_door(find_free_port()) as own, serving_door(find_free_port()) as other:
        settings = load_settings(
            flags={
                "home": str(tmp_path),
                "edge": {"control_port": own.port},
                "hub": {"more_edges": [f"127.0.0.1:{other.port}", f"127.0.0.1:{find_free_port()}"]},
            },
            environment={},
        )
        with carrying(Courier(settings, None, after_s=(0.0,))) as courier:
            for _ in range(1000):
                courier.hint()
            until(lambda: own.asked and other.asked, "no edge was asked")
    assert len(own.asked) < 100
    assert set(own.asked) == {"look"}


@pytest.fixture
def hub(tmp_path: Path, mlflow_url: str, name: str) -> Hub:
    return Hub(tmp_path, mlflow_url, name, find_free_port())


def test_the_webhook_is_made_once_and_follows_the_hub(mlflow_url: str) -> None:
    make_webhook(mlflow_url, "http://127.0.0.1:1/", SECRET)
    make_webhook(mlflow_url, "http://127.0.0.1:2/", SECRET)
    client = MlflowClient(tracking_uri=mlflow_url)
    (made,) = [webhook for webhook in client.list_webhooks() if webhook.name == WEBHOOK]
    assert (made.url, tuple(str(event) for event in made.events)) == (
        "http://127.0.0.1:2/",
        ("model_version_alias.created",),
    )
    client.delete_webhook(made.webhook_id)


def test_the_secret_is_made_once_and_is_nobody_elses(hub: Hub) -> None:
    first = webhook_secret(hub.settings)
    assert webhook_secret(hub.settings) == first
    path = hub.keys.folder / "webhook-secret"
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_an_alias_that_moves_in_mlflow_has_a_real_edge_install_the_release(
    hub: Hub, tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    """The edge polls once a day, and nobody but MLflow's webhook tells it anything."""
    first, second = hub.register(1), hub.register(2)
    settings: dict[str, Any] = {
        "release_poll_s": 86_400,
        "model": f'"{hub.name}"',
        "releases": f'"{hub.settings.releases_path}"',
    }
    agent_port = find_free_port()
    edge = Edge(tmp_path / "edge", hub.trusted, agent_port, **settings)
    shutil.copy(hub.keys.root, edge.home / "root.json")
    receiver = find_free_port()
    hub.config.write_text(
        hub.config.read_text()
        .replace("[edge]\n", f"push_port = {receiver}\n[edge]\n")
        .replace(f"control_port = {hub.settings.edge.control_port}", f"control_port = {edge.control_port}")
    )
    client = MlflowClient(tracking_uri=hub.settings.hub.mlflow_url)

    def webhooks() -> list[str]:
        return [webhook.url for webhook in client.list_webhooks() if webhook.name == WEBHOOK]

    def lines() -> list[Deployment]:
        return [line for line in hub.registry.deployments.history(hub.name) if line.state == "serving"]

    with microscope(context, agent_port), edge.running(context):
        with pushing(load_settings(hub.config)):
            until(lambda: webhooks() == [f"http://127.0.0.1:{receiver}/"], "no webhook")
            assert edge.status()["model_version"] is None
            hub.release(first, "first")
            hub.registry.promote(hub.name, 1, reason="first", who="somebody else")
            until(lambda: edge.status()["model_version"] == 1, "the edge was not told")
            # The alias may move before the release is there: the edge looks again.
            hub.registry.promote(hub.name, 2, reason="second", who="somebody else")
            hub.release(second, "second")
            until(lambda: edge.status()["model_version"] == 2, "the edge did not look again")
            until(lambda: [line.version for line in lines()] == [1, 2], "the catalogue does not know")
        # An alias alone installs nothing: who can write to MLflow cannot choose what an edge serves.
        assert (lines()[-1].edge, lines()[-1].release) == ("edge-1", 2)
