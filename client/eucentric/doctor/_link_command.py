"""`eucentric doctor --link` and `--serve-link`."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from urllib.parse import urlsplit

import typer
from rich.console import Console

from eucentric_core import ConfigurationError, Settings
from eucentric_core.transport import LinkMeasurement, write_link_measurement

from ._link_advice import advise
from ._link_client import LinkClient
from ._link_protocol import DEFAULT_PORT
from ._link_report import link_report
from ._link_server import LinkServer

__all__ = ["measure_link", "serve_link"]


def measure_link(where: str, settings: Settings, *, case_s: float, as_json: bool) -> None:
    """Measure the link to `HOST[:PORT]`, print it, and remember it for the pacer of this machine."""
    host, port = _address(where)
    console = Console(stderr=True)
    with console.status("measuring") as status:
        client = LinkClient(
            host,
            port,
            case_s=case_s,
            fraction=settings.link.fraction,
            say=lambda what: status.update(f"measuring the link to {host}: {what}"),
        )
        figures = client.measure()
    advice = advise(figures)
    path = write_link_measurement(
        settings.home,
        LinkMeasurement(
            far_end=host,
            measured_utc=datetime.now(UTC),
            line_rate_bit_s=min(max(figures.line_rate_bit_s, 1e5), 1e12),
            round_trip_s=figures.idle.p50_s,
            honours=advice.honours,
        ),
    )
    if as_json:
        report = {
            "figures": figures.model_dump(mode="json"),
            "advice": {**advice.model_dump(mode="json"), "toml": advice.toml()},
            "remembered_in": str(path),
        }
        typer.echo(json.dumps(report, indent=2))
        return
    output = Console()
    output.print(link_report(figures, advice))
    output.print(f'\nRemembered in {path}, for link.mode = "measured".', markup=False, highlight=False)


def serve_link(host: str, port: int) -> None:
    """Be the far end of a measurement until Ctrl-C, SIGTERM or an hour have passed."""
    server = LinkServer(host, port)

    def stop(*_: object) -> None:
        server.stop()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    bound, bound_port = server.address
    address = f"[{bound}]:{bound_port}" if ":" in bound else f"{bound}:{bound_port}"
    typer.echo(
        f"Measures links at {address}, for one machine at a time. Carries no data of the instrument and "
        "changes nothing. Ends with Ctrl-C, or by itself after an hour."
    )
    try:
        server.serve()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    typer.echo(f"Ended; {server.sessions} measurement{'s' if server.sessions != 1 else ''} served.")


def _address(where: str) -> tuple[str, int]:
    if where.count(":") > 1 and not where.startswith("["):
        return where, DEFAULT_PORT
    try:
        parts = urlsplit(f"//{where}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.path or parts.username is not None:
        raise ConfigurationError(
            f"{where!r} is no HOST or HOST:PORT.",
            safe="nothing was sent.",
            next_step="give the far end as a name or an address, with a port if it is not the usual one.",
        )
    return host, port or DEFAULT_PORT
