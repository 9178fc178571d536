"""A policy tells people through a block that a real Prefect server keeps."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock

from eucentric_flows._notify import MessageNotSentError, notify
from eucentric_flows.engine import OrderRefusedError, PlacedOrder
from eucentric_flows.engine._prefect_orders import PrefectOrders
from eucentric_flows.policy import FlowOrder, NotifyOrder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


class Webhook(ThreadingHTTPServer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_message_goes_through_the_block_that_the_policy_names(prefect: str, webhook: Webhook) -> None:
    block = CustomWebhookNotificationBlock(
        name="lab", url=webhook.url, json_data={"subject": "{{subject}}", "body": "{{body}}"}
    )
    block.save("lab", overwrite=True)
    order = NotifyOrder(blocks=("custom-webhook/lab",), subject="atoms", body="drift")
    PrefectOrders(wake=lambda: None, notifier=notify).carry_out(PlacedOrder("p", "e1", "e1", order))
    assert webhook.told == [{"subject": "atoms", "body": "drift"}]


def test_a_block_that_is_not_there_is_said_by_name(prefect: str) -> None:
    with pytest.raises(MessageNotSentError, match="there is no block 'slack-webhook/nobody'"):
        notify(["slack-webhook/nobody"], "s", "b")


def test_a_flow_that_is_not_there_is_refused_for_good(prefect: str) -> None:
    order = PlacedOrder("p", "e1", "e1", FlowOrder(flow="nothing", request={}))
    with pytest.raises(OrderRefusedError, match="there is no flow 'nothing'"):
        PrefectOrders(wake=lambda: None, notifier=notify).carry_out(order)
