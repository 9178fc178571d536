"""The command line of `eucentric models`. What a command needs is imported when it is given."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from eucentric_core import UnsupportedError, clear_errors, counting_bar
from eucentric_model_registry._cli import models_app

__all__ = ["app"]

app = typer.Typer(help="Registered models and their history; applying one to a file.", no_args_is_help=True)
app.add_typer(models_app)

_Pixel = Annotated[
    float | None,
    typer.Option("--pixel-size-pm", help="Pixel size in picometres; wins over what the file says."),
]


@app.command("apply")
def apply_command(
    model: Annotated[
        str, typer.Option("--model", help="A model shipped with the package, a registered one, or a folder.")
    ],
    file: Annotated[
        Path, typer.Option("--input", help="Image or series: dm3, dm4, emd, ser, tif, png, npy…")
    ],
    output: Annotated[Path, typer.Option("--output", help="Folder for table, pictures and summary.")],
    pixel_size_pm: _Pixel = None,
    uncalibrated: Annotated[
        bool, typer.Option("--uncalibrated", help="Nobody knows the pixel size: results in pixels alone.")
    ] = False,
    signal: Annotated[
        str | None, typer.Option("--signal", help="Which of several: title of a signal, path of a data set.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="Torch device.")] = "cpu",
    support: Annotated[
        Path | None,
        typer.Option(
            "--support", help="For few-shot models: a support set (.json), or one folder of chips per class."
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Apply a model to an image, or to every image of a series.

    Writes <name>.csv (one row for everything found), pictures of it with a scale bar, and <name>.json.
    A pixel size is never guessed: where the file does not say it, you are asked at a terminal; otherwise
    results are in pixels, and the summary says so.
    """
    with clear_errors(), _needs_extras():
        from ._apply import Request, apply_model

        request = Request(
            model=model,
            file=file,
            output=output,
            pixel_size_pm=pixel_size_pm,
            uncalibrated=uncalibrated,
            signal=signal,
            device=device,
            config=config,
            support=support,
        )
        with counting_bar("apply", shown=not as_json) as tell:
            summary = apply_model(request, ask_pixel_size_pm=None if as_json else _ask, tell=tell)
    if as_json:
        typer.echo(json.dumps(summary))
        return
    from ._words import sentences_of

    for sentence in sentences_of(summary):
        typer.echo(sentence)


def _ask(name: str) -> float | None:
    if not sys.stdin.isatty():
        return None
    answer: float = typer.prompt(
        f"{name} does not say how large its pixels are. Pixel size in pm", type=float
    )
    return answer


@contextmanager
def _needs_extras() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        missing = error.name or "a package"
        if missing.startswith("eucentric"):
            raise  # a fault of ours, not of the installation
        raise UnsupportedError(
            f"`eucentric models apply` needs {missing}, which is not installed on this machine.",
            safe="nothing was written.",
            next_step="pip install 'eucentric[agent,edge]'; for dm3, dm4, emd also 'vendor-formats'.",
            missing=missing,
        ) from error
