"""Orders carried out by Prefect. The only module of the engine that imports it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentFlowRunCreate
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Scheduled, to_state_create
from pydantic import ValidationError

from eucentric_core import EucentricError, ServiceUnavailableError

from .._prefect_client import httpx_settings
from ..catalogue import FLOWS
from ..policy import FlowOrder, NotifyOrder
from ._orders import Notifier, OrderRefusedError, PlacedOrder

__all__ = ["PrefectOrders"]

_CLIENT_ERRORS = range(400, 500)
_MAY_PASS = frozenset({408, 409, 425, 429})


class PrefectOrders:
    """Runs flows as deployments of Prefect, and notifies through its blocks.

    A flow run is made with the trigger id as its idempotency key: Prefect answers a repeated order with the
    flow run that is there already. One connection serves all orders: making one costs as much as an order.

    Args:
        api_url: of Prefect.
        wake: told when a flow run was made, for whoever starts flow runs.
        notifier: sends notifications.
    """

    def __init__(self, api_url: str, *, wake: Callable[[], None], notifier: Notifier) -> None:
        self._api_url = api_url
        self._wake = wake
        self._notifier = notifier
        self._opened = ExitStack()
        self._client: SyncPrefectClient | None = None
        self._deployments: dict[str, UUID] = {}

    def close(self) -> None:
        """Close the connection."""
        self._client = None
        self._opened.close()

    def carry_out(self, order: PlacedOrder) -> None:
        """See `OrderTaker`."""
        match order.order:
            case FlowOrder() as wanted:
                self._run(order, wanted)
            case NotifyOrder(blocks=blocks, subject=subject, body=body):
                self._notify(blocks, subject, body)

    def _run(self, order: PlacedOrder, wanted: FlowOrder) -> None:
        _require_fitting(wanted)
        try:
            self._make_flow_run(order, wanted)
        except ObjectNotFound as error:
            raise OrderRefusedError(
                f"there is no flow {wanted.flow!r}",
                safe="nothing was started.",
                next_step="`eucentric flows ls` lists the flows; correct the policy.",
            ) from error
        except PrefectHTTPStatusError as error:
            status = error.response.status_code
            if status in _CLIENT_ERRORS and status not in _MAY_PASS:
                raise OrderRefusedError(
                    f"Prefect refuses to run flow {wanted.flow!r}: {error.response.text[:300]}",
                    safe="nothing was started.",
                    next_step="correct what the policy hands to the flow.",
                ) from error
            raise _unavailable(error) from error
        except httpx.HTTPError as error:
            raise _unavailable(error) from error
        self._wake()

    def _make_flow_run(self, order: PlacedOrder, wanted: FlowOrder) -> None:
        known = self._deployments.get(wanted.flow)
        if known is not None:
            try:
                self._create(known, order, wanted)
            except ObjectNotFound:
                # Prefect's database is another one than before; what is there now counts.
                del self._deployments[wanted.flow]
            else:
                return
        deployment = self._prefect().read_deployment_by_name(f"{wanted.flow}/eucentric")
        self._create(deployment.id, order, wanted)
        self._deployments[wanted.flow] = deployment.id

    def _create(self, deployment: UUID, order: PlacedOrder, wanted: FlowOrder) -> None:
        flow_run = DeploymentFlowRunCreate(
            state=to_state_create(Scheduled()),
            parameters={"request": wanted.request},
            name=order.trigger_id,
            tags=["eucentric", f"policy {order.policy}"],
            idempotency_key=order.trigger_id,
            # It was compared with the flow's own model here, in 1 ms. Prefect compares it with the schema
            # that it has of it, in 150 ms, and answers nobody meanwhile.
            enforce_parameter_schema=False,
        )
        try:
            self._prefect().request(
                "POST",
                "/deployments/{id}/create_flow_run",
                path_params={"id": deployment},
                json=flow_run.model_dump(mode="json", exclude_unset=True),
            )
        except PrefectHTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                raise ObjectNotFound(error) from error
            raise

    def _prefect(self) -> SyncPrefectClient:
        if self._client is None:
            self._client = self._opened.enter_context(
                get_client(sync_client=True, httpx_settings=httpx_settings(self._api_url))
            )
        return self._client

    def _notify(self, blocks: Sequence[str], subject: str, body: str) -> None:
        try:
            self._notifier(blocks, subject, body)
        except ServiceUnavailableError:
            raise
        except EucentricError as error:
            raise OrderRefusedError(error.what, safe=error.safe, next_step=error.next_step) from error


def _require_fitting(wanted: FlowOrder) -> None:
    spec = FLOWS.get(wanted.flow)
    if spec is None:
        return
    try:
        spec.request.model_validate(wanted.request)
    except ValidationError as error:
        raise OrderRefusedError(
            f"flow {wanted.flow!r} does not take what the policy hands to it: {_first_of(error)}",
            safe="nothing was started.",
            next_step=f"correct the policy; `eucentric flows ls {wanted.flow}` lists what the flow takes.",
        ) from error


def _first_of(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _unavailable(error: Exception) -> ServiceUnavailableError:
    return ServiceUnavailableError(
        f"Prefect did not take an order: {error}.",
        safe="it is kept and will be given again.",
        next_step="check that the Prefect server runs.",
    )
