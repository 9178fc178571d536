"""`eucentric edge tune`: which model, which frames, and the table of what was tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eucentric_core import (
    BUNDLE_ENVELOPE,
    BundleManifest,
    CommandRefusedError,
    Settings,
    TrustedKeys,
    sha256_file,
    verify_bundle,
)
from eucentric_models.backends import BACKENDS, UNTESTED, Backend

from ._backend_choice import Candidate, TuningRecord, TuningRecords, bundle_hash
from ._errors import TuningError

if TYPE_CHECKING:
    from eucentric_models.engines import ModelDescription

__all__ = ["RECORDS_FILE", "line_of", "opened_model", "parse_shapes", "tune_here"]

RECORDS_FILE = "tuning.json"
"""In `<home>/edge`."""

_MAX_SHAPES = 8
_UNTESTED = "  [untested: no such device was at hand when it was written]"


def tune_here(
    settings: Settings,
    *,
    model: str | None,
    shapes: tuple[tuple[int, int], ...],
    pixel_size_m: float | None,
    threads: int,
    seconds: float,
    tell: Callable[[Candidate], None],
    begin: Callable[[str], None] = lambda name: None,
    backends: Sequence[Backend] = BACKENDS,
) -> TuningRecord:
    """Tune for a model on this machine and keep the record.

    Args:
        settings: of this machine.
        model: folder of a bundle or plain model, or the name of a shipped one; None: the one in service.
        shapes: `(ny, nx)` of the frames to come.
        pixel_size_m: of these frames.
        threads: CPU threads that one frame may use.
        seconds: how long each back end is timed for each shape.
        tell: hears of each candidate as it is done.
        begin: hears the name of each before.
        backends: those to try.

    Raises:
        CommandRefusedError: there is no model to tune for.
        BundleError: a bundle is not one that this machine trusts.
        TuningError: no back end passes.
    """
    from eucentric_models.engines import engine_named

    from ._tuning import tune

    folder, description, name = opened_model(settings, model)
    opened = engine_named(description.engine).open(folder, description)
    record = tune(
        folder,
        opened,
        bundle_sha256=name,
        shapes=shapes,
        pixel_size_m=pixel_size_m,
        threads=threads,
        seconds=seconds,
        tell=tell,
        begin=begin,
        backends=backends,
    )
    path = settings.home / "edge" / RECORDS_FILE
    TuningRecords.read(path).including(record).write(path)
    return record


def parse_shapes(text: str) -> tuple[tuple[int, int], ...]:
    """`512x512,1024x1024` or `512,1024` as shapes.

    Raises:
        TuningError: it is not written so.
    """
    shapes = []
    for part in text.split(","):
        sides = part.strip().lower().split("x")
        if not 1 <= len(sides) <= 2 or not all(side.isdecimal() and int(side) for side in sides):
            raise TuningError(
                f"{part!r} is no frame size.",
                safe="nothing was done.",
                next_step="write for example --frames 512x512,1024x1024 (rows x columns).",
            )
        shapes.append((int(sides[0]), int(sides[-1])))
    if len(shapes) > _MAX_SHAPES:
        raise TuningError(
            f"{len(shapes)} frame sizes are more than {_MAX_SHAPES}.",
            safe="nothing was done.",
            next_step="name the sizes that this instrument uses.",
        )
    return tuple(shapes)


def line_of(candidate: Candidate) -> str:
    """A candidate as a person reads it."""
    if candidate.refused is not None or candidate.p50_ms is None:
        line = f"{candidate.name:<18} not used: {candidate.refused}"
    else:
        line = (
            f"{candidate.name:<18} {candidate.p50_ms:8.1f} ms p50 {candidate.p99_ms:8.1f} ms p99   "
            f"compiles in {candidate.compile_s:5.1f} s   golden test off by {candidate.golden_error:.2g}"
        )
    return f"{line}{_UNTESTED}" if candidate.name in UNTESTED else line


def opened_model(settings: Settings, model: str | None) -> tuple[Path, ModelDescription, str]:
    """Folder and description of a model whose files can be believed, and what its record is kept under.

    Raises:
        CommandRefusedError: no model was named and none is installed.
        BundleError: a bundle is not one that this machine trusts.
        ModelsError: a folder holds no model.
    """
    from eucentric_models.engines import (
        MODEL_FILE,
        ModelDescription,
        read_description,
        shipped_folder,
        shipped_models,
    )

    if model is None:
        folder, manifest = _installed(settings)
        return folder, ModelDescription.of_manifest(manifest), bundle_hash(manifest)
    folder = shipped_folder(model) if model in shipped_models() else Path(model)
    if (folder / BUNDLE_ENVELOPE).exists():
        trusted = TrustedKeys.read(settings.trusted_keys_path)
        manifest = verify_bundle(folder, trusted, expected_name=settings.edge.model, newer_than=None)
        return folder, ModelDescription.of_manifest(manifest), bundle_hash(manifest)
    return folder, read_description(folder), sha256_file(folder / MODEL_FILE)


def _installed(settings: Settings) -> tuple[Path, BundleManifest]:
    from ._installed_state import InstalledState
    from ._open_trust import open_trust

    home = settings.home / "edge"
    state = InstalledState.read(home / "state.json", model_name=settings.edge.model)
    if state.current is None:
        raise CommandRefusedError(
            "No model is installed on this edge yet.",
            safe="nothing was done.",
            next_step="name one with --model (a folder, or a shipped model), or install one first.",
        )
    folder = state.folder_of(state.current, home / "models")
    trust, _ = open_trust(settings)
    return folder, trust.readmit(folder, state.current, state)
