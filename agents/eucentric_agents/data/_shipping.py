"""The shipper of the data process: opened from the settings, and what the agent may ask of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, JsonValue

from eucentric_core import FrozenModel, Settings, is_loopback
from eucentric_core.transport import Pacer, RttProbe, link_probe
from eucentric_transfer import MoverOptions, open_mover

from ..recording import Journal, Publish, Shipper, ShipperStatus, ShippingMeter, StuckEntry
from ._desk import DataDesk

__all__ = [
    "RetryStuck",
    "ShippingReport",
    "open_shipper",
    "probing",
    "register_shipping",
    "size_of_open_shards",
]

_POLL_S = 0.5
_STORE_IDLE_S = 10.0


class ShippingReport(FrozenModel):
    """What `eucentric agent shipping` shows. `shipper` is None where nothing is shipped.

    `kept` counts sealed shards that wait here to be sent, or are stuck; `open_bytes` is not sealed yet.
    """

    ship_to: str | None
    shipper: ShipperStatus | None
    stuck: tuple[StuckEntry, ...] = ()
    agent_runs: bool = True
    kept: Annotated[int, Field(ge=0)] = 0
    open_bytes: Annotated[int, Field(ge=0)] = 0


class RetryStuck(FrozenModel):
    """Send a stuck shard again; without a name, all of them."""

    name: Annotated[str, Field(min_length=1, max_length=300)] | None = None


def open_shipper(settings: Settings, journal: Journal, *, publish: Publish, pacer: Pacer) -> Shipper | None:
    """The shipper to where the settings say, None if recordings stay here; it is not started.

    Args:
        settings: of this machine.
        journal: whose outbox to empty.
        publish: sends events.
        pacer: of everything in this process that sends bulk data off the machine.

    Raises:
        ConfigurationError: the address is none, or what speaks to it is not installed.
    """
    where = settings.agent.ship_to
    if where is None:
        return None
    meter, stopping = ShippingMeter(), threading.Event()
    options = MoverOptions(
        state=settings.home / "agent" / "shipping",
        bandwidth=None if _stays_here(settings) else pacer,
        paced=settings.agent.ship_to_share,
        stopping=stopping,
        on_progress=meter.seen,
        s3=settings.s3,
        globus=settings.globus.within(settings.home),
    )
    mover = open_mover(where, options=options)
    receipts_s, idle_s = _receipt_pauses(settings, where)
    return Shipper(
        journal,
        mover,
        publish=publish,
        meter=meter,
        stopping=stopping,
        poll_s=_POLL_S,
        idle_s=idle_s,
        receipts_s=receipts_s,
    )


def _receipt_pauses(settings: Settings, where: str) -> tuple[float, float]:
    """The shortest and the longest pause (s) between two looks for receipts."""
    if settings.agent.ship_to_folder is not None:
        return 0.0, _POLL_S
    if urlsplit(where).scheme == "globus":
        return settings.globus.receipts_min_s, settings.globus.receipts_max_s
    return 0.0, _STORE_IDLE_S


@contextmanager
def probing(settings: Settings, pacer: Pacer) -> Iterator[None]:
    """Tell the pacer, while it lasts, how full the link is that shards leave by.

    Files are acknowledged by nobody whom we hear: a host of the settings, or the store itself, is asked.
    """
    host, port = _far_host(settings)
    own = settings.link.probe is None and host is not None and not is_loopback(host)
    with RttProbe(pacer, str(host), port) if own else link_probe(settings.link, pacer):
        yield


def _far_host(settings: Settings) -> tuple[str | None, int]:
    """Host and port of the store that shards go to, None if it is not known here."""
    if not (settings.agent.ship_to or "").startswith("s3:") or settings.s3.endpoint is None:
        return None, 0
    parts = urlsplit(settings.s3.endpoint)
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _stays_here(settings: Settings) -> bool:
    """Whether what is shipped never leaves this machine: that need not be held back."""
    host, _ = _far_host(settings)
    return host is not None and is_loopback(host)


def size_of_open_shards(settings: Settings) -> int:
    """Bytes of frames that are recorded and not sealed yet."""
    size_bytes = 0
    for path in (settings.home / "agent" / "recording" / "open").glob("*"):
        # One that is being sealed may go meanwhile.
        with suppress(OSError):
            size_bytes += path.stat().st_size
    return size_bytes


def register_shipping(desk: DataDesk, settings: Settings, journal: Journal, shipper: Shipper | None) -> None:
    """Answer the agent about shipping: `shipping.status` and `shipping.retry`."""

    def status(_payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        backlog = journal.ledger.backlog()
        report = ShippingReport(
            ship_to=settings.agent.ship_to,
            shipper=shipper and shipper.status(),
            stuck=shipper.stuck() if shipper is not None else (),
            kept=sum(backlog.get(state, (0, 0))[0] for state in ("pending", "stuck")),
            open_bytes=size_of_open_shards(settings),
        )
        return report.model_dump(mode="json")

    def retry(payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        wish = RetryStuck.model_validate(payload)
        names = shipper.retry_stuck(wish.name) if shipper is not None else ()
        return {"names": list[JsonValue](names)}

    desk.register("shipping.status", status)
    desk.register("shipping.retry", retry)
