"""`eucentric edge`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import JsonValue

from eucentric_core import (
    channel_credentials,
    clear_errors,
    configure_logging,
    load_settings,
    service_lifetime,
)

__all__ = ["app"]

# What a person would otherwise wait for without a word.
_BEFORE = {"torch-compile": "torch-compile      compiles now: a minute, ten on a busy machine ..."}

app = typer.Typer(name="edge", help="Inference beside the microscope.", no_args_is_help=True)

_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]


@app.callback()
def _edge() -> None:
    # Keeps `serve` a command of its own.
    return None


@app.command()
def serve(
    config: _Config = None,
    home: Annotated[Path | None, typer.Option(help="Folder for models, state and logs.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads for inference.")] = None,
) -> None:
    """Serve the installed model until SIGTERM or Ctrl-C."""
    flags: dict[str, Any] = {}
    if home is not None:
        flags["home"] = str(home)
    if threads is not None:
        flags["edge"] = {"threads": threads}
    with clear_errors():
        settings = load_settings(config, flags=flags)
        configure_logging("edge", settings.logs)
        from ._service import EdgeService

        with service_lifetime("edge", settings.home) as lifetime:
            EdgeService(settings).run(lifetime)


@app.command()
def tune(
    config: _Config = None,
    model: Annotated[
        str | None,
        typer.Option(help="Folder of a bundle or model, or a shipped model; without: the one in service."),
    ] = None,
    frames: Annotated[
        str, typer.Option(help="Frame sizes to time, for example 512x512,1024x1024 (rows x columns).")
    ] = "512x512",
    pixel_size_pm: Annotated[
        float | None, typer.Option(min=0.1, max=1e5, help="Pixel size of these frames (pm).")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, max=256, help="CPU threads; without: as the settings say.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=60, help="Timing of each back end and size.")] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Time every inference back end on this machine, and keep the fastest that passes the golden test."""
    from ._tune_command import line_of, parse_shapes, tune_here

    with clear_errors():
        settings = load_settings(config)
        record = tune_here(
            settings,
            model=model,
            shapes=parse_shapes(frames),
            pixel_size_m=None if pixel_size_pm is None else pixel_size_pm * 1e-12,
            threads=threads or settings.edge.threads,
            seconds=seconds,
            tell=lambda candidate: typer.echo(line_of(candidate), err=True),
            begin=lambda name: typer.echo(_BEFORE.get(name, ""), err=True, nl=name in _BEFORE),
        )
    if as_json:
        typer.echo(record.model_dump_json())
        return
    chosen = next(each for each in record.candidates if each.name == record.chosen)
    typer.echo(
        f"Chosen: {record.chosen}, the fastest here that passes the golden test "
        f"({chosen.p50_ms:.1f} ms p50, {record.threads} threads). The service uses it from its next start or "
        f"installation on, if edge.backend is auto."
    )


@app.command()
def export(
    output: Annotated[Path, typer.Argument(help="File to write, for example columns.onnx.")],
    config: _Config = None,
    model: Annotated[
        str | None,
        typer.Option(help="Folder of a bundle or model, or a shipped model; without: the one in service."),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="8-bit convolutions, calibrated on frames.")] = False,
    frames: Annotated[
        Path | None, typer.Option(help="Folder of .npy frames to calibrate on; without: the golden chips.")
    ] = None,
    members: Annotated[
        int | None, typer.Option(min=1, help="How many of its networks, the first ones; without: all.")
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="One network of what hls4ml and FINN know, of one image size.")
    ] = False,
    size: Annotated[
        int | None, typer.Option(min=1, help="Side of the images of a plain one (px); without: a frame's.")
    ] = None,
) -> None:
    """Write the network of a model as one ONNX graph, for other runtimes, hls4ml and FINN."""
    from ._export_command import export_here

    with clear_errors():
        settings = load_settings(config)
        typer.echo(
            export_here(
                settings,
                model=model,
                output=output,
                int8=int8,
                frames=frames,
                members=members,
                plain=plain,
                size=size,
            )
        )


@app.command()
def rollback(
    reason: Annotated[str, typer.Option(help="Why; it stays in the edge's log.")], config: _Config = None
) -> None:
    """Go back one step on this edge alone, to the version that served before; until the next release."""
    answer = _asked(config, "rollback", {"reason": reason}, timeout_s=60.0)
    typer.echo(f"version {answer['version']} serves, in place of version {answer['previous_version']}")


@app.command()
def challenge(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder of the challenger's bundle; without: the one released for a trial."),
    ] = None,
    drop: Annotated[bool, typer.Option(help="Compare no longer.")] = False,
    config: _Config = None,
) -> None:
    """Run a challenger in the shadow of the model in service: it is compared, and never answers."""
    payload: dict[str, JsonValue] = {}
    if not drop:
        payload = {"released": True} if folder is None else {"folder": str(folder.absolute())}
    answer = _asked(config, "challenge", payload, timeout_s=120.0)
    if answer["model_version"] is None:
        typer.echo("no challenger runs in the shadow")
    else:
        typer.echo(
            f"version {answer['model_version']} runs in the shadow; "
            "`eucentric edge status` says how it compares"
        )


@app.command()
def status(config: _Config = None) -> None:
    """Print what the running edge says about itself, as JSON."""
    typer.echo(json.dumps(_asked(config, "status", {}, timeout_s=5.0), indent=2))


def _asked(
    config: Path | None, method: str, payload: dict[str, JsonValue], *, timeout_s: float
) -> dict[str, JsonValue]:
    from eucentric_core.transport import PyroControlClient

    with clear_errors():
        settings = load_settings(config)
        edge = settings.edge
        client = PyroControlClient(
            edge.reachable_host,
            edge.control_port,
            timeout_s=timeout_s,
            credentials=channel_credentials(settings, edge),
        )
        try:
            return client.call(method, payload)
        finally:
            client.close()
