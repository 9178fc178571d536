"""A policy tells people through a block that a real Prefect server keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock

from eucentric_flows._notify import MessageNotSentError, notify
from eucentric_flows.engine import OrderRefusedError, PlacedOrder
from eucentric_flows.engine._prefect_orders import PrefectOrders
from eucentric_flows.policy import FlowOrder, NotifyOrder

from ..servers.webhook import Webhook, running_webhook

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with running_webhook() as running:
        yield running


def test_a_message_goes_through_the_block_that_the_policy_names(prefect: str, webhook: Webhook) -> None:
    block = CustomWebhookNotificationBlock(
        name="lab", url=webhook.url, json_data={"subject": "{{subject}}", "body": "{{body}}"}
    )
    block.save("lab", overwrite=True)
    order = NotifyOrder(blocks=("custom-webhook/lab",), subject="atoms", body="drift")
    PrefectOrders(prefect, wake=lambda: None, notifier=notify).carry_out(PlacedOrder("p", "e1", "e1", order))
    assert webhook.told == [{"subject": "atoms", "body": "drift"}]


def test_a_block_that_is_not_there_is_said_by_name(prefect: str) -> None:
    with pytest.raises(MessageNotSentError, match="there is no block 'slack-webhook/nobody'"):
        notify(["slack-webhook/nobody"], "s", "b")


def test_a_flow_that_is_not_there_is_refused_for_good(prefect: str) -> None:
    order = PlacedOrder("p", "e1", "e1", FlowOrder(flow="nothing", request={}))
    with (
        closing(PrefectOrders(prefect, wake=lambda: None, notifier=notify)) as orders,
        pytest.raises(OrderRefusedError, match="there is no flow 'nothing'"),
    ):
        orders.carry_out(order)


def test_parameters_that_the_flow_does_not_take_are_refused_by_name(prefect: str) -> None:
    request = {"trigger_id": "e1", "model": "atoms", "steps": -1}
    order = PlacedOrder("p", "e1", "e1", FlowOrder(flow="retrain", request=request))
    with (
        closing(PrefectOrders(prefect, wake=lambda: None, notifier=notify)) as orders,
        pytest.raises(OrderRefusedError, match=r"flow 'retrain' does not take .*steps: Extra inputs"),
    ):
        orders.carry_out(order)
