"""Policies become automations of a real Prefect server, and stay what the files say."""

from __future__ import annotations

from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client

from eucentric_flows._automation import automation_name, publish_policies
from eucentric_flows.policy import Policy, explain

from .conftest import drift_policy

pytestmark = pytest.mark.asyncio


def on_frames(count: int) -> Policy:
    trigger = {"kind": "frames", "material": "mos2", "count": count}
    return Policy.model_validate({"name": "on-frames", "model": "atoms", "trigger": trigger})


def on_dataset() -> Policy:
    trigger = {"kind": "dataset", "material": "mos2"}
    return Policy.model_validate({"name": "on-dataset", "model": "atoms", "trigger": trigger})


async def deployment(client: PrefectClient) -> UUID:
    @flow
    def nothing() -> None:
        return None

    flow_id = await client.create_flow(nothing)
    return await client.create_deployment(flow_id, "tests")


async def test_every_kind_of_policy_is_accepted_and_kept_up_to_date(prefect: str) -> None:
    async with get_client() as client:
        deployment_id = await deployment(client)
        policies = (drift_policy(), on_dataset(), on_frames(100))
        published = await publish_policies(client, policies, deployment_id)
        assert set(published) == {"on-drift", "on-dataset", "on-frames"}
        stored = await client.read_automation(published["on-frames"])
        assert stored is not None
        assert stored.description == explain(on_frames(100))
        assert stored.trigger.model_dump()["threshold"] == 7

        again = await publish_policies(client, policies, deployment_id)
        assert again == published

        changed = (drift_policy(enabled=False), on_frames(200))
        assert await publish_policies(client, changed, deployment_id) == {
            name: published[name] for name in ("on-drift", "on-frames")
        }
        present = {automation.name: automation for automation in await client.read_automations()}
        assert set(present) == {automation_name(policy) for policy in changed}
        assert not present[automation_name(drift_policy())].enabled
        assert present[automation_name(on_frames(200))].trigger.model_dump()["threshold"] == 13

        assert await publish_policies(client, (), deployment_id) == {}
        assert await client.read_automations() == []
