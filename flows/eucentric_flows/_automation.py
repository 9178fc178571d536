"""Those policies that Prefect can decide about, as its automations. Guards are asked when the flow begins."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture

from ._prefect_events import EVENT_PREFIX
from .policy import EventMatch, Policy, decided_by_prefect, explain

__all__ = ["AUTOMATION_PREFIX", "automation_name", "compile_policy", "publish_policies"]

AUTOMATION_PREFIX = "eucentric policy "


def automation_name(policy: Policy) -> str:
    """The automation's name on Prefect's page; it also says which policy made a flow run."""
    return f"{AUTOMATION_PREFIX}{policy.name}"


def compile_policy(policy: Policy, match: EventMatch, deployment_id: UUID) -> AutomationCore:
    """The policy's trigger and action as Prefect understands them.

    The event itself becomes a parameter of the flow, which is admitted by the policy's guards: an automation
    cannot look at earlier runs.

    Args:
        policy: which one.
        match: what its trigger is to Prefect.
        deployment_id: of the flow that its action runs.
    """
    labels = {f"{EVENT_PREFIX}{name}": value for name, value in match.labels}
    return AutomationCore(
        name=automation_name(policy),
        description=explain(policy),
        enabled=policy.enabled,
        tags=["eucentric"],
        trigger=EventTrigger(
            expect={f"{EVENT_PREFIX}{match.kind}"},
            match={"prefect.resource.id": f"{EVENT_PREFIX}*", **labels},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
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


async def publish_policies(
    client: PrefectClient, policies: Sequence[Policy], deployment_id: UUID
) -> dict[str, UUID]:
    """Create, change and remove automations until they are those of what Prefect can decide about.

    Returns:
        Ids of the automations by policy.
    """
    existing = {
        automation.name: automation
        for automation in await client.read_automations()
        if automation.name.startswith(AUTOMATION_PREFIX)
    }
    published: dict[str, UUID] = {}
    for policy in decided_by_prefect(policies):
        match = policy.trigger.as_match(policy.model)
        if match is None:
            continue
        wanted = compile_policy(policy, match, deployment_id)
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
