"""`eucentric demo`: the whole loop on one machine."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from eucentric_core import EucentricError

__all__ = ["demo"]


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _clean(folder: Path, *, keep_logs: bool) -> None:
    """Remove the temporary folder; a failure names its log, which has to outlive it."""
    logs = folder / "logs"
    if not (keep_logs and logs.is_dir() and any(logs.iterdir())):
        shutil.rmtree(folder)
        return
    for item in folder.iterdir():
        if item != logs:
            shutil.rmtree(item) if item.is_dir() else item.unlink()


def demo(
    *,
    instrument: Annotated[
        str, typer.Option(help="Instrument to run on: twin (SIMULATED) or replay.")
    ] = "twin",
    data: Annotated[
        Path | None, typer.Option(help="File or folder of recorded frames, with --instrument replay.")
    ] = None,
    pixel_size_pm: Annotated[
        float | None,
        typer.Option(min=0.1, max=1e6, help="Pixel size (pm) of recorded files that do not state it."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the specimen, the noise and the training.")] = 1,
    home: Annotated[
        Path | None, typer.Option(help="New or empty folder to work in and keep; else a temporary one.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file to start from.")] = None,
    picture: Annotated[Path, typer.Option(help="Where to write the picture.")] = Path("eucentric-demo.png"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, no tables.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running at the end, until Ctrl-C.")
    ] = False,
) -> None:
    """Close the whole loop on this machine: drift, policy, retraining, signature, swap, recovery."""
    from ._report import DemoReport, render
    from ._run import run_demo
    from ._story import DemoOptions

    console = Console(stderr=True)
    folder = (
        Path(tempfile.mkdtemp(prefix="eucentric-demo-")) if home is None else home.expanduser().absolute()
    )
    options = DemoOptions(
        instrument=instrument,
        data=data,
        pixel_size_m=None if pixel_size_pm is None else pixel_size_pm * 1e-12,
        seed=seed,
        home=folder,
        config=config,
        picture=picture.absolute(),
        keep=keep,
    )

    def show(report: DemoReport) -> None:
        if as_json:
            sys.stdout.write(json.dumps(report.model_dump(mode="json")) + "\n")
            sys.stdout.flush()
        else:
            Console().print(render(report))

    # Also SIGINT, which a shell tells its background jobs to ignore.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    failed = False
    try:
        report = run_demo(options, console=console, show=show)
    except EucentricError:
        failed = True
        raise
    finally:
        if home is None:
            _clean(folder, keep_logs=failed)
    if not report.closed_loop and instrument == "twin":
        raise typer.Exit(code=1)
