"""Orders carried out by Prefect. The only module of the engine that imports it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from eucentric_core import EucentricError, ServiceUnavailableError

from ..policy import FlowOrder, NotifyOrder
from ._orders import Notifier, OrderRefusedError, PlacedOrder

__all__ = ["PrefectOrders"]

_CLIENT_ERRORS = range(400, 500)
_MAY_PASS = frozenset({408, 409, 425, 429})


class PrefectOrders:
    """Runs flows as deployments of Prefect, and notifies through its blocks.

    A flow run is made with the trigger id as its idempotency key: Prefect answers a repeated order with the
    flow run that is there already.

    Args:
        wake: told when a flow run was made, for whoever starts flow runs.
        notifier: sends notifications.
    """

    def __init__(self, *, wake: Callable[[], None], notifier: Notifier) -> None:
        self._wake = wake
        self._notifier = notifier

    def carry_out(self, order: PlacedOrder) -> None:
        """See `OrderTaker`."""
        match order.order:
            case FlowOrder() as wanted:
                self._run(order, wanted)
            case NotifyOrder(blocks=blocks, subject=subject, body=body):
                self._notify(blocks, subject, body)

    def _run(self, order: PlacedOrder, wanted: FlowOrder) -> None:
        try:
            with get_client(sync_client=True) as client:
                self._make_flow_run(client, order, wanted)
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

    def _make_flow_run(self, client: SyncPrefectClient, order: PlacedOrder, wanted: FlowOrder) -> None:
        deployment = client.read_deployment_by_name(f"{wanted.flow}/eucentric")
        client.create_flow_run_from_deployment(
            deployment.id,
            parameters={"request": wanted.request},
            name=order.trigger_id,
            tags=["eucentric", f"policy {order.policy}"],
            idempotency_key=order.trigger_id,
        )

    def _notify(self, blocks: Sequence[str], subject: str, body: str) -> None:
        try:
            self._notifier(blocks, subject, body)
        except ServiceUnavailableError:
            raise
        except EucentricError as error:
            raise OrderRefusedError(error.what, safe=error.safe, next_step=error.next_step) from error


def _unavailable(error: Exception) -> ServiceUnavailableError:
    return ServiceUnavailableError(
        f"Prefect did not take an order: {error}.",
        safe="it is kept and will be given again.",
        next_step="check that the Prefect server runs.",
    )
