"""Policies as Prefect automations. What Prefect cannot express is decided when the flow begins."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture

from ._prefect_events import EVENT_PREFIX
from .policy import DatasetTrigger, DriftTrigger, FramesTrigger, Policy, explain

__all__ = ["AUTOMATION_PREFIX", "automation_name", "compile_policy", "publish_policies"]

AUTOMATION_PREFIX = "eucentric policy "


def automation_name(policy: Policy) -> str:
    """The automation's name on Prefect's page; it also says which policy made a flow run."""
    return f"{AUTOMATION_PREFIX}{policy.name}"


def compile_policy(policy: Policy, deployment_id: UUID) -> AutomationCore:
    """The policy's trigger and action as Prefect understands them.

    The event itself becomes a parameter of the flow, which holds score, cooldown, budget and "one at a time"
    against it: an automation can neither compare numbers nor look at earlier runs.
    """
    return AutomationCore(
        name=automation_name(policy),
        description=explain(policy),
        enabled=policy.enabled,
        tags=["eucentric"],
        trigger=_event_trigger(policy),
        actions=[
            RunDeployment(
                source="selected",
                deployment_id=deployment_id,
                parameters={
                    "request": {
                        "trigger_id": "{{ event.payload.id }}",
                        "policy": policy.name,
                        "model": policy.model,
                        "event": {
                            "__prefect_kind": "json",
                            "value": {"__prefect_kind": "jinja", "template": "{{ event.payload | tojson }}"},
                        },
                    }
                },
            )
        ],
    )


def _event_trigger(policy: Policy) -> EventTrigger:
    material = policy.trigger.material
    match = {f"{EVENT_PREFIX}material": material} if material is not None else {}
    threshold, within_s = 1, 0.0
    match policy.trigger:
        case DriftTrigger():
            kind = "drift.detected"
            match[f"{EVENT_PREFIX}model_name"] = policy.model
        case DatasetTrigger():
            kind = "dataset.registered"
        case FramesTrigger() as trigger:
            kind, threshold, within_s = "shard.registered", trigger.shards, trigger.within_s
    return EventTrigger(
        expect={f"{EVENT_PREFIX}{kind}"},
        match={"prefect.resource.id": f"{EVENT_PREFIX}*", **match},
        posture=Posture.Reactive,
        threshold=threshold,
        within=timedelta(seconds=within_s),
    )


async def publish_policies(
    client: PrefectClient, policies: Sequence[Policy], deployment_id: UUID
) -> dict[str, UUID]:
    """Create, change and remove automations until they are those of the policies. Returns ids by policy."""
    existing = {
        automation.name: automation
        for automation in await client.read_automations()
        if automation.name.startswith(AUTOMATION_PREFIX)
    }
    published: dict[str, UUID] = {}
    for policy in policies:
        wanted = compile_policy(policy, deployment_id)
        present = existing.pop(wanted.name, None)
        if present is None:
            published[policy.name] = await client.create_automation(wanted)
        else:
            # An update forgets what the trigger has counted so far.
            if not _same(wanted, present):
                await client.update_automation(present.id, wanted)
            published[policy.name] = present.id
    for obsolete in existing.values():
        await client.delete_automation(obsolete.id)
    return published


def _same(wanted: AutomationCore, present: Automation) -> bool:
    fields = set(AutomationCore.model_fields)
    return wanted.model_dump(mode="json", include=fields) == present.model_dump(mode="json", include=fields)
