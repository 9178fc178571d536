"""Policies become automations of a real Prefect server, and stay what the files say."""

from __future__ import annotations

from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client

from eucentric_flows._automation import automation_name, publish_policies
from eucentric_flows.policy import Policy, decided_by_prefect, explain, why_resident

from .conftest import drift_policy

pytestmark = pytest.mark.asyncio


def on_dataset(**changes: object) -> Policy:
    trigger = {"kind": "dataset", "material": "mos2"}
    return Policy.model_validate({"name": "on-dataset", "model": "atoms", "trigger": trigger, **changes})


async def deployment(client: PrefectClient) -> UUID:
    @flow
    def nothing() -> None:
        return None

    flow_id = await client.create_flow(nothing)
    return await client.create_deployment(flow_id, "tests")


async def test_what_prefect_can_decide_is_kept_up_to_date_there(prefect: str) -> None:
    async with get_client() as client:
        deployment_id = await deployment(client)
        # A bound on a number is more than an automation can tell.
        policies = (drift_policy(), on_dataset())
        published = await publish_policies(client, policies, deployment_id)
        assert set(published) == {"on-dataset"}
        stored = await client.read_automation(published["on-dataset"])
        assert stored is not None
        assert stored.description == explain(on_dataset())
        assert stored.trigger.model_dump()["match"]["eucentric.material"] == "mos2"

        again = await publish_policies(client, policies, deployment_id)
        assert again == published

        changed = on_dataset(trigger={"kind": "dataset", "material": "graphene"})
        assert await publish_policies(client, (changed,), deployment_id) == published
        (present,) = await client.read_automations()
        assert present.name == automation_name(changed)
        assert present.trigger.model_dump()["match"]["eucentric.material"] == "graphene"

        assert await publish_policies(client, (), deployment_id) == {}
        assert await client.read_automations() == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"trigger": {"kind": "dataset", "min_frames": 2}}, "its trigger 'dataset' is more than an event"),
        ({"enabled": False}, "it is disabled in its file"),
        ({"conditions": [{"kind": "champion", "min_age_s": 60}]}, "it has conditions"),
        ({"guards": {"approval": {}}}, "its firings may have to wait"),
        ({"guards": {"quiet_hours": {"begin": "22:00", "end": "06:00"}}}, "its firings may have to wait"),
        ({"action": {"kind": "evaluate"}}, "its action 'evaluate' is handed more than the event"),
    ],
)
async def test_why_the_engine_decides_is_said(changes: dict[str, object], why: str | None) -> None:
    policy = on_dataset(**changes)
    found = why_resident(policy, (policy, drift_policy()))
    assert found is why or (found is not None and why is not None and found.startswith(why))


async def test_two_policies_on_the_same_events_are_left_to_the_engine() -> None:
    both = (on_dataset(), on_dataset(name="other"))
    assert decided_by_prefect(both) == ()
    assert decided_by_prefect(both[:1]) == both[:1]
