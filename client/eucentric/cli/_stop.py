"""`eucentric stop`: make an instrument safe, now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eucentric_core import ConfigurationError, clear_errors, load_settings

__all__ = ["stop"]

_TIMEOUT_S = 4.0


def stop(
    name: Annotated[
        str | None, typer.Argument(help="Instrument; by default the one whose agent runs on this machine.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")] = None,
) -> None:
    """Blank the beam, stop scanning and halt the stage, now. Needs no lease."""
    from eucentric.scope import connect, console_of

    with clear_errors():
        console = False
        if name is None:
            # Whoever stands at the instrument is let in even where the network or the certificates fail.
            try:
                console_of(load_settings(config))
                console = True
            except ConfigurationError:
                console = False
        with connect(name, config=config, console=console, timeout_s=_TIMEOUT_S) as scope:
            scope.safe_stop()
            state = scope.state()
    typer.echo(
        f"{scope!r}: beam {'blanked' if state.beam_blanked else 'STILL ON'}, scan stopped, stage halted."
    )
    if not state.beam_blanked:
        raise typer.Exit(1)
