"""`retrain`: from new data to a better model in service."""

from __future__ import annotations

from eucentric_core import Settings

from .._pipeline import Ending
from .._retraining import retrain as retrain_model
from .._warm_executor import warm_executor
from ..policy import Policy, PolicyError, RetrainAction, RetrainRequest, load_policies
from ._spec import FlowSpec, Running

__all__ = ["RETRAIN", "policy_named"]


def _carry_out(running: Running, request: RetrainRequest) -> Ending:
    policy = policy_named(running.settings, request.policy)
    action = RetrainAction() if policy is None else _retraining(policy)
    logs = running.settings.logs / "hpc" / request.trigger_id
    with running.open_site() as site, warm_executor(running.settings, logs) as executor:
        return retrain_model(site, request, action, executor, running.run_stage)


def policy_named(settings: Settings, name: str | None) -> Policy | None:
    """The policy of a request; None for one by a person.

    Raises:
        PolicyError: there is none of this name.
    """
    if name is None:
        return None
    for policy in load_policies(settings.policies_path):
        if policy.name == name:
            return policy
    raise PolicyError(
        f"There is no policy {name!r} in {settings.policies_path}.",
        safe="nothing was trained.",
        next_step="restart `eucentric flows serve`, which removes automations of policies that are gone.",
    )


def _retraining(policy: Policy) -> RetrainAction:
    if not isinstance(policy.action, RetrainAction):
        raise PolicyError(
            f"The action of policy {policy.name} is no retraining.",
            safe="nothing was trained.",
            next_step="ask for the flow that its action names.",
        )
    return policy.action


RETRAIN = FlowSpec(
    name="retrain",
    summary="Gather, train, judge, sign, register, promote and install a model.",
    request=RetrainRequest,
    carry_out=_carry_out,
    subject=lambda _settings, request: request.model,
    computes=True,
)
