"""Our flows as Prefect sees them: a flow and a deployment of each. Imports Prefect."""

from __future__ import annotations

from functools import cache
from typing import Any

from prefect import Flow, flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State
from prefect.deployments.runner import RunnerDeployment
from prefect.types.entrypoint import EntrypointType

from .._deployment import deployment_name
from .._entry import enter
from ..catalogue import FLOWS, FlowSpec

__all__ = ["deploy_all", "prefect_flow"]


@cache
def prefect_flow(name: str) -> Flow[[Any], State[None]]:
    """The Prefect flow of this name; its only parameter, `request`, is the flow's frozen model."""
    spec = FLOWS[name]

    def body(request: Any) -> State[None]:
        return enter(spec, request)

    # Prefect reads the form of its page from the signature.
    body.__name__ = body.__qualname__ = name.replace("-", "_")
    body.__module__ = spec.request.__module__
    body.__doc__ = spec.summary
    body.__annotations__ = {"request": spec.request, "return": State}
    return flow(name=name, description=spec.summary, validate_parameters=True)(body)


async def deploy_all(client: PrefectClient) -> dict[str, str]:
    """Make or change the deployment of every flow. Returns their ids by the flow's name."""
    return {name: str(await _deployment(spec).aapply()) for name, spec in FLOWS.items()}


def _deployment(spec: FlowSpec[Any]) -> RunnerDeployment:
    name = deployment_name(spec.name).partition("/")[2]
    return RunnerDeployment.from_flow(
        prefect_flow(spec.name),
        name=name,
        description=spec.summary,
        tags=["eucentric"],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
