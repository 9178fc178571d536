"""`eucentric stop`: make an instrument safe, now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from eucentric_core import (
    ConfigurationError,
    EucentricError,
    ServiceUnavailableError,
    clear_errors,
    load_settings,
    read_console,
)

__all__ = ["stop"]

_TIMEOUT_S = 4.0


def stop(
    name: Annotated[
        str | None, typer.Argument(help="Instrument; by default the one whose agent runs on this machine.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")] = None,
) -> None:
    """Blank the beam, stop scanning and halt the stage, now. Needs no lease."""
    from eucentric.scope import connect

    with clear_errors():
        with _otherwise("nothing was stopped"):
            at_console = name is None and _console_is_here(config)
            scope = connect(name, config=config, console=at_console, timeout_s=_TIMEOUT_S)
        with scope:
            with _otherwise("it may or may not have stopped"):
                scope.safe_stop()
            state = scope.state()
    typer.echo(
        f"{scope!r}: beam {'blanked' if state.beam_blanked else 'STILL ON'}, scan stopped, stage halted."
    )
    if not state.beam_blanked:
        raise typer.Exit(1)


def _console_is_here(config: Path | None) -> bool:
    # Whoever stands at the instrument is let in even where the network or the certificates fail.
    try:
        read_console(load_settings(config).home)
    except ConfigurationError:
        return False
    return True


@contextmanager
def _otherwise(what_is_known: str) -> Iterator[None]:
    """An instrument that was not reached is not safe, whatever was sent."""
    try:
        yield
    except EucentricError as error:
        raise ServiceUnavailableError(
            error.what,
            safe=f"NOT KNOWN, {what_is_known}.",
            next_step="blank at the microscope itself, or run `eucentric stop` on the control PC.",
        ) from error
