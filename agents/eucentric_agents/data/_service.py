"""What runs in the data process: the server, the recorder and the shipper."""

from __future__ import annotations

import gc
import logging
import threading
import time
from contextlib import ExitStack

import zmq

from eucentric_core import (
    ServiceLifetime,
    ServiceUnavailableError,
    Settings,
    configure_logging,
    service_lifetime,
)
from eucentric_core.transport import DataServer, KeyRing, OwnAccess, StreamPublisher, open_pacer

from .._child import parent_is_gone
from ..recording import Recorder, Shipper, open_journal
from ._desk import DataDesk
from ._flight import checking_flight
from ._keys import register_keys
from ._report import register_report
from ._shipping import open_shipper, probing, register_shipping
from ._supervisor import DATA_SERVICE

__all__ = ["require_running", "serve_data"]

_POLL_S = 0.2
_DRAIN_S = 3.0

_log = logging.getLogger(__name__)


def serve_data(settings: Settings, *, ingest_port: int, parent_pid: int, token: str) -> None:
    """Serve, record and ship until SIGTERM, or until the agent process is gone.

    Args:
        settings: effective settings.
        ingest_port: loopback port to publish to.
        parent_pid: the agent.
        token: what the agent proves itself with at the door.

    Raises:
        EucentricError: a port is in use, the recording folder cannot be used, or the server has died.
    """
    configure_logging(DATA_SERVICE, settings.logs)
    with service_lifetime(DATA_SERVICE, settings.home) as lifetime, ExitStack() as started:
        _serve_in(lifetime, started, settings, ingest_port=ingest_port, parent_pid=parent_pid, token=token)


def _serve_in(
    lifetime: ServiceLifetime,
    started: ExitStack,
    settings: Settings,
    *,
    ingest_port: int,
    parent_pid: int,
    token: str,
) -> None:
    agent = settings.agent
    ingest = f"tcp://127.0.0.1:{ingest_port}"
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    started.callback(context.term)
    desk = DataDesk()
    pacer = open_pacer(settings.link, home=settings.home)
    keys: KeyRing | None = None
    if agent.tls is not None:
        keys = KeyRing()
        register_keys(desk, keys)
    server = DataServer(
        host=agent.data_host,
        port=agent.data_port,
        ingest_endpoint=ingest,
        context=context,
        keys=keys,
        pacer=pacer.share("live"),
        bulk_dscp=settings.link.bulk_dscp,
    )
    serving = threading.Thread(target=server.serve, name="data-server", daemon=True)
    serving.start()
    started.callback(serving.join, timeout=5)
    started.callback(server.stop)
    publisher = StreamPublisher(ingest, context=context, timeout_s=2.0)
    started.callback(publisher.close)

    journal = open_journal(settings)
    started.callback(journal.close)
    shipper = open_shipper(settings, journal, publish=publisher.publish_event, pacer=pacer.share("shipping"))
    register_shipping(desk, settings, journal, shipper)
    if shipper is not None:
        started.enter_context(probing(settings, pacer))
        shipper.start()
        started.callback(shipper.stop)
    recorder = Recorder(
        journal,
        host=agent.reachable_data_host,
        port=agent.data_port,
        publish=publisher.publish_event,
        context=context,
        access=None if keys is None else OwnAccess(keys, "recorder"),
    )
    recorder.start()
    started.callback(lambda: recorder.stop(drain_s=_DRAIN_S))

    started.enter_context(checking_flight(settings, desk, journal, publisher))
    register_report(desk, server, recorder, pacer, journal)
    door_port = started.enter_context(desk.open_door(token))
    # What is here by now stays: looking at all of it again and again would hold up the frames.
    gc.collect()
    gc.freeze()
    lifetime.announce_ready(
        {"data_port": agent.data_port, "ingest_port": ingest_port, "door_port": door_port}
    )
    while not lifetime.stopping.wait(_POLL_S):
        if parent_is_gone(parent_pid):
            _log.error("the agent process is gone; recording what the driver still sends, then stopping")
            break
        require_running(serving, recorder, shipper)
    # The driver host closes its session before it ends: that is the last thing to record.
    deadline_s = time.monotonic() + _DRAIN_S
    while recorder.status().open_sessions and time.monotonic() < deadline_s:
        time.sleep(_POLL_S / 4)


def require_running(serving: threading.Thread, recorder: Recorder, shipper: Shipper | None) -> None:
    """Refuse to go on without one of the threads.

    Raises:
        ServiceUnavailableError: one of them has ended by itself.
    """
    ended = {
        "data server": not serving.is_alive(),
        "recorder": recorder.failed,
        "shipper": shipper is not None and shipper.failed,
    }
    if any(ended.values()):
        raise ServiceUnavailableError(
            f"The {' and the '.join(name for name, over in ended.items() if over)} stopped by itself.",
            safe="what was recorded is kept.",
            next_step="see this service's log; the agent restarts it.",
        )
