"""`eucentric lease`: who steers, taking the lease by hand, offering it to somebody."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from eucentric_core import HANDED_OVER, clear_errors

from ..scope import connect

__all__ = ["app"]

app = typer.Typer(help="Who steers an instrument.", no_args_is_help=True)

_Name = Annotated[
    str | None, typer.Argument(help="Instrument in the settings; by default this machine's own.")
]
_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
_Console = Annotated[
    bool, typer.Option("--console", help="As the operator at the instrument, who pre-empts everybody.")
]
_As = Annotated[str | None, typer.Option("--as", help="Label of the client; by default user and machine.")]

_LOOK_S = 0.2


@app.command()
def show(
    name: _Name = None,
    config: _Config = None,
    console: _Console = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show who steers and who would like to."""
    with clear_errors(), connect(name, config=config, console=console) as scope:
        lease = scope.lease()
    if as_json:
        typer.echo(lease.model_dump_json())
        return
    if lease.holder is None:
        typer.echo("free")
    else:
        where = ", at the instrument" if lease.local else ""
        role = f" ({lease.role}{where})" if lease.role else ""
        typer.echo(
            f"{lease.holder}{role} steers, {lease.remaining_s:.1f} s left: {lease.reason or 'no reason'}"
        )
    for asker in lease.wanted_by:
        typer.echo(f"{asker} asks for it")
    if lease.offered_to:
        typer.echo(f"offered to {lease.offered_to}")


@app.command()
def hold(
    name: _Name = None,
    reason: Annotated[str, typer.Option(help="For the audit log and for whoever waits.")] = "held by hand",
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Take it from a holder of a lower role.")
    ] = False,
    config: _Config = None,
    console: _Console = False,
    label: _As = None,
) -> None:
    """Hold the lease until Ctrl-C, so that nobody else steers; then give it back."""
    with (
        clear_errors(),
        connect(name, config=config, console=console, client=label) as scope,
        scope.control(reason=reason, take_over=take_over),
    ):
        stopping = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stopping.set())
        typer.echo(f"you hold the lease of {scope.capabilities.instrument}; Ctrl-C gives it back", err=True)
        try:
            while scope.lease_lost is None and not stopping.wait(_LOOK_S):
                pass
        except KeyboardInterrupt:
            return
        lost = scope.lease_lost
        # Any other loss is the error that `control` ends with.
        if lost is not None and HANDED_OVER in lost.details:
            typer.echo(lost.what, err=True)


@app.command()
def offer(
    to: Annotated[str, typer.Argument(help="Who may take it over, as `lease show` names them.")],
    name: Annotated[
        str | None, typer.Option("--on", help="Instrument; by default this machine's own.")
    ] = None,
    config: _Config = None,
    console: _Console = False,
    label: _As = None,
) -> None:
    """Offer the lease that this user holds to somebody; they get it as soon as they ask for it."""
    with clear_errors(), connect(name, config=config, console=console, client=label) as scope:
        status = scope.offer_lease(to)
    typer.echo(f"offered to {status.offered_to}; {status.holder} steers until they take it")
