"""The control method `measure`: how fast a challenger, or the model in service, is on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, JsonValue

from eucentric_core import (
    BUNDLE_ENVELOPE,
    CommandRefusedError,
    FrozenModel,
    LatencyMeasurement,
    Settings,
    sha256_file,
    utc_now,
)
from eucentric_core.transport import Methods
from eucentric_models.engines import live_answers, read_plain_array

from ._backend_choice import machine_name
from ._challenger_bundle import challenger_bundle
from ._installer import Installer
from ._model_slot import ModelSlot
from ._open_trust import Releases
from ._serving_model import ServingModel
from ._tuning import lattice_frame

__all__ = ["measure_methods", "timed_frames"]

_WARM_UP = 2
_FEWEST_FRAMES = 5
_LONGEST_S = 40.0


class MeasureRequest(FrozenModel):
    """Answer of `measure`: `LatencyMeasurement`.

    Attributes:
        serving: measure the model in service; else the challenger.
        folder: bundle of the challenger, for an edge that goes by keys alone; one that goes by releases
            fetches the released challenger.
        frames: how many frames at most; 40 s are not exceeded by much.
    """

    serving: bool = False
    folder: Path | None = None
    frames: Annotated[int, Field(ge=_FEWEST_FRAMES, le=1000)] = 100


def measure_methods(
    settings: Settings,
    installer: Installer,
    slot: ModelSlot,
    releases: Releases | None,
    *,
    frame_shape: Callable[[], tuple[int, ...] | None],
) -> Methods:
    """The method `measure`.

    Args:
        settings: of this edge.
        installer: verifies, builds and tests the challenger.
        slot: where the model in service is.
        releases: where a released challenger comes from; None on an edge that goes by keys alone.
        frame_shape: tells `(ny, nx)` of the frames at present.
    """

    def measure(payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        request = MeasureRequest.model_validate(payload)
        shape = frame_shape()
        if request.serving:
            model = slot.model
            if model is None:
                raise _refused("No model is in service.", "install one first.")
            folder = installer.folder_in_service
            return _measured(settings, slot, model, folder, shape, request.frames)
        with challenger_bundle(settings, installer, releases, request.folder) as folder:
            model = installer.open_beside(folder, frame_shape=shape)
            try:
                return _measured(settings, slot, model, folder, shape, request.frames)
            finally:
                model.close()

    return {"measure": measure}


def timed_frames(
    model: ServingModel, shape: tuple[int, int], *, pixel_size_m: float | None, frames: int, rest: float
) -> list[float]:
    """Seconds that each of some frames of a lattice takes, after two that are not counted.

    Args:
        model: to measure.
        shape: `(ny, nx)`.
        pixel_size_m: of the frames.
        frames: how many at most; at least five are timed, and no further one is begun after 40 s.
        rest: pause after each frame over the time that it took, so that frames in service are not held up.
    """
    image = lattice_frame(shape)
    times_s: list[float] = []
    until_s = time.perf_counter() + _LONGEST_S
    for turn in range(_WARM_UP + frames):
        started_s = time.perf_counter()
        live_answers(model.model, [image], pixel_sizes_m=[pixel_size_m])
        took_s = time.perf_counter() - started_s
        if turn >= _WARM_UP:
            times_s.append(took_s)
        if len(times_s) >= _FEWEST_FRAMES and time.perf_counter() > until_s:
            break
        time.sleep(min(took_s * rest, 5.0))
    return times_s


def _measured(
    settings: Settings,
    slot: ModelSlot,
    model: ServingModel,
    folder: Path,
    shape: tuple[int, ...] | None,
    frames: int,
) -> dict[str, JsonValue]:
    if shape is None:
        # Nothing has been seen yet: as its golden chips are.
        shape = read_plain_array(folder / model.manifest.golden[0].frame).shape
    if len(shape) != 2:
        raise _refused(f"Frames of {len(shape)} dimensions cannot be made here.", "measure it with images.")
    serving = slot.model is not None and slot.pixel_size_m is not None
    share = settings.edge.shadow_share
    times_s = timed_frames(
        model,
        (shape[0], shape[1]),
        pixel_size_m=slot.pixel_size_m,
        frames=frames,
        rest=1 / share - 1 if serving else 0.0,
    )
    p50_s, p99_s = np.percentile(times_s, [50, 99]).tolist()
    measured = LatencyMeasurement(
        edge=settings.edge.name,
        machine=machine_name()[:300],
        model_name=model.manifest.name,
        model_version=model.manifest.version,
        envelope_sha256=sha256_file(folder / BUNDLE_ENVELOPE),
        backend=model.backend,
        threads=settings.edge.threads,
        shape=(shape[0], shape[1]),
        pixel_size_m=slot.pixel_size_m,
        frames=len(times_s),
        p50_ms=1e3 * p50_s,
        p99_ms=1e3 * p99_s,
        beside_frames=serving,
        measured_utc=utc_now(),
    )
    return measured.model_dump(mode="json")


def _refused(what: str, next_step: str) -> CommandRefusedError:
    return CommandRefusedError(what, safe="the model in service keeps serving.", next_step=next_step)
