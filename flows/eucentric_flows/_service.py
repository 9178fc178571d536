"""The service `flows`: policies published, events bridged, flows served."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from uuid import UUID

from prefect.client.orchestration import get_client

from eucentric_core import AnyEvent, ModelAnswered, ServiceLifetime, ServiceUnavailableError, Settings
from eucentric_model_registry import pushing

from ._automation import publish_policies
from ._bridge import EventBridge, event_keys, event_sources
from ._entry import SETTINGS_VARIABLE
from ._event_outbox import EventOutbox, outbox_path
from ._notify import notify
from ._prefect_client import httpx_settings
from ._prefect_events import PrefectEventSink
from ._renewal import renewing
from ._server import is_healthy
from .engine._considered import Considered
from .engine._prefect_orders import PrefectOrders
from .engine._service import deciding
from .launcher import Launcher, deploy_all
from .policy import Policy, load_policies
from .runs import RunRecord, runs_path

__all__ = ["run_service"]


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
    sink = PrefectEventSink(settings.hub.prefect_api_url, login_file=settings.hub.prefect_login_file)
    try:
        # On the main thread Prefect would take SIGTERM for itself; it belongs to the lifetime.
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
    stopping = asyncio.Event()
    with RunRecord(runs_path(settings)) as record:
        prompt = httpx_settings(settings.hub.prefect_api_url, asynchronous=True)
        async with get_client(httpx_settings=prompt) as client:
            deployments = await deploy_all(client)
            automations = await publish_policies(client, policies, UUID(deployments["retrain"]))
            launcher = Launcher(settings, client, deployments, record)
            await launcher.warm_up()
            considered = Considered()
            bridge = EventBridge(
                event_sources(settings),
                outbox,
                sink,
                on_end=lifetime.stopping.set,
                on_event=partial(_note, record),
                before_delivery=lambda: considered.wait(outbox.newest()),
                on_delivered=launcher.expect,
                access=event_keys(settings, client="flows"),
            )
            orders = PrefectOrders(settings.hub.prefect_api_url, wake=launcher.wake, notifier=notify)
            deciding_now = deciding(
                settings,
                outbox,
                record,
                orders,
                on_end=lifetime.stopping.set,
                on_considered=considered.note,
            )
            with closing(orders), deciding_now, bridge:
                running = asyncio.create_task(launcher.run(stopping))
                told_to_stop = asyncio.create_task(asyncio.to_thread(lifetime.stopping.wait))
                lifetime.announce_ready(
                    {
                        "deployments": dict(deployments),
                        "policies": {name: str(identity) for name, identity in automations.items()},
                    }
                )
                await asyncio.wait({running, told_to_stop}, return_when=asyncio.FIRST_COMPLETED)
                # Also when the launcher ended by itself: nobody else would release the thread that waits.
                lifetime.stopping.set()
                stopping.set()
                bridge.stop()
                await asyncio.wait({running})
            running.result()


def _note(record: RunRecord, event: AnyEvent) -> None:
    if isinstance(event, ModelAnswered):
        record.note_first_answer(event.trace_id, event.occurred_utc)
