"""The service `flows`: policies published, events bridged, the retraining flow served."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from prefect.client.orchestration import get_client
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.types.entrypoint import EntrypointType

from eucentric_core import ServiceLifetime, ServiceUnavailableError, Settings
from eucentric_model_registry import pushing

from ._automation import publish_policies
from ._bridge import EventBridge, event_keys, event_sources
from ._deployment import DEPLOYMENT
from ._event_outbox import EventOutbox, outbox_path
from ._prefect_events import PrefectEventSink
from ._renewal import renewing
from ._retrain_flow import SETTINGS_VARIABLE, retrain
from ._server import is_healthy
from .policy import Policy, load_policies

__all__ = ["run_service"]

_RUNNER = "eucentric-flows"
_FLOW_RUNS_AT_A_TIME = 4


def run_service(settings: Settings, lifetime: ServiceLifetime) -> None:
    """Serve until the lifetime says stop. Flow runs that are in progress then can be resumed.

    Raises:
        PolicyError: a policy file is bad.
        ServiceUnavailableError: Prefect does not answer.
    """
    policies = load_policies(settings.policies_path)
    if not is_healthy(settings.hub.prefect_api_url):
        raise ServiceUnavailableError(
            f"No Prefect server answers at {settings.hub.prefect_api_url}.",
            safe="nothing was started.",
            next_step="start it with `eucentric flows server`, or correct hub.prefect_api_url.",
        )
    # Flow runs are processes of their own and inherit this.
    os.environ[SETTINGS_VARIABLE] = settings.model_dump_json()
    outbox = EventOutbox(outbox_path(settings))
    sink = PrefectEventSink(settings.hub.prefect_api_url)
    try:
        # On the main thread Prefect's runner would take SIGTERM for itself; it belongs to the lifetime.
        with (
            renewing(settings),
            pushing(settings),
            ThreadPoolExecutor(1, thread_name_prefix="flows") as thread,
        ):
            thread.submit(asyncio.run, _serve(settings, lifetime, policies, outbox, sink)).result()
    finally:
        sink.close()
        outbox.close()


async def _serve(
    settings: Settings,
    lifetime: ServiceLifetime,
    policies: tuple[Policy, ...],
    outbox: EventOutbox,
    sink: PrefectEventSink,
) -> None:
    runner = Runner(name=_RUNNER, limit=_FLOW_RUNS_AT_A_TIME, pause_on_shutdown=False)
    deployment_id = await runner.aadd_deployment(_deployment())
    async with get_client() as client:
        automations = await publish_policies(client, policies, deployment_id)
    bridge = EventBridge(
        event_sources(settings),
        outbox,
        sink,
        on_end=lifetime.stopping.set,
        access=event_keys(settings, client="flows"),
    )
    with bridge:
        running = asyncio.create_task(runner.start())
        told_to_stop = asyncio.create_task(asyncio.to_thread(lifetime.stopping.wait))
        lifetime.announce_ready(
            {
                "deployment": DEPLOYMENT,
                "deployment_id": str(deployment_id),
                "policies": {name: str(identity) for name, identity in automations.items()},
            }
        )
        await asyncio.wait({running, told_to_stop}, return_when=asyncio.FIRST_COMPLETED)
        # Also when the runner ended by itself: nobody else would release the thread that waits.
        lifetime.stopping.set()
        bridge.stop()
        if runner.started:
            await runner.astop()
        elif not running.done():
            running.cancel()
        await asyncio.wait({running})
    if not running.cancelled():
        running.result()


def _deployment() -> RunnerDeployment:
    _flow, _, name = DEPLOYMENT.partition("/")
    return RunnerDeployment.from_flow(retrain, name=name, entrypoint_type=EntrypointType.MODULE_PATH)
