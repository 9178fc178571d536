"""`eucentric import`: vendors' files into a session, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eucentric_core import ConfigurationError, Settings, clear_errors, counting_bar, load_settings

if TYPE_CHECKING:
    from ._options import ImportOptions

__all__ = ["import_command"]

_GIB = 1 << 30
_Pixel = Annotated[
    float | None, typer.Option("--pixel-size-pm", help="Pixel size, or step of a scan, in picometres.")
]
_Signals = Annotated[
    list[str] | None, typer.Option("--signal", help="Title of a signal to take; may be repeated.")
]


def import_command(
    session: Annotated[str, typer.Option(help="Session, and so data set, they become part of.")],
    files: Annotated[list[Path] | None, typer.Argument(help="Files, or folders of them.")] = None,
    instrument: Annotated[str, typer.Option(help="Whose frames they are.")] = "imported",
    sample: Annotated[str | None, typer.Option(help="Sample of all files.")] = None,
    material: Annotated[str | None, typer.Option(help="Material of all files.")] = None,
    stream: Annotated[str | None, typer.Option(help="Stream; by default after kind and detector.")] = None,
    pixel_size_pm: _Pixel = None,
    energy_dispersion_ev: Annotated[
        float | None, typer.Option("--energy-dispersion-ev", help="Width of a channel of spectra.")
    ] = None,
    energy_offset_ev: Annotated[
        float | None, typer.Option("--energy-offset-ev", help="Energy of their first channel.")
    ] = None,
    signal: _Signals = None,
    calibrated_only: Annotated[
        bool, typer.Option("--calibrated-only", help="Leave out signals without calibration.")
    ] = False,
    anisotropic: Annotated[
        bool, typer.Option("--anisotropic", help="Believe pixel sizes that differ along y and x.")
    ] = False,
    simulated: Annotated[bool, typer.Option("--simulated", help="The data were computed.")] = False,
    keep_open: Annotated[bool, typer.Option("--keep-open", help="Leave the session open.")] = False,
    close: Annotated[
        bool, typer.Option("--close", help="Close the session though files were refused.")
    ] = False,
    timeout_s: Annotated[float, typer.Option("--timeout-s", help="For reading one file.")] = 300.0,
    memory_gib: Annotated[float, typer.Option("--memory-gib", help="For reading one file.")] = 4.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be imported.")] = False,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")] = None,
    home: Annotated[Path | None, typer.Option("--home", help="The agent's home folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Import vendors' files (dm3, dm4, emd, ser, mrc, tif, hspy, blo and others) into a session.

    They go the way of measured frames: journal, shard, repository. Nothing is guessed: a file that does not
    say how large its pixels are is refused. Exit status 1 if a file was refused.
    """
    from ._importer import import_files, look_at_files
    from ._show import show

    with clear_errors():
        options = _options(
            session=session,
            instrument=instrument,
            sample=sample,
            material=material,
            stream=stream,
            pixel_size_pm=pixel_size_pm,
            energy_dispersion_ev=energy_dispersion_ev,
            energy_offset_ev=energy_offset_ev,
            signals=tuple(signal or ()),
            calibrated_only=calibrated_only,
            anisotropic=anisotropic,
            simulated=simulated,
            keep_open=keep_open,
            timeout_s=timeout_s,
            memory_bytes=int(memory_gib * _GIB),
        )
        paths = _files(files or [], close=close)
        with counting_bar("import", shown=not as_json) as progress:
            if dry_run:
                report = look_at_files(paths, options, progress=progress)
            else:
                settings = _settings(config, home)
                report = import_files(paths, options, settings, close=close, progress=progress)
    if as_json:
        typer.echo(report.model_dump_json())
    else:
        show(report)
    if report.refused:
        raise typer.Exit(1)


def _settings(config: Path | None, home: Path | None) -> Settings:
    return load_settings(config, flags={} if home is None else {"home": home})


def _options(**given: Any) -> ImportOptions:
    from pydantic import ValidationError

    from eucentric_core import explain_problem

    from ._options import ImportOptions

    try:
        return ImportOptions(**given)
    except ValidationError as error:
        raise ConfigurationError(
            "; ".join(explain_problem(dict(problem)) for problem in error.errors()) + ".",
            safe="nothing was imported.",
            next_step="correct the option.",
        ) from error


def _files(given: Sequence[Path], *, close: bool) -> list[Path]:
    from ..vendor_files import reader_suffixes

    paths: list[Path] = []
    for path in given:
        if path.is_dir():
            suffixes = reader_suffixes()
            paths += sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in suffixes)
        else:
            paths.append(path)
    if not paths and not close:
        raise ConfigurationError(
            "There is no file to import.",
            safe="nothing was imported.",
            next_step="name files, or folders with files that RosettaSciIO reads.",
        )
    return paths
