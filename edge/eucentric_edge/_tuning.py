"""Every back end tried on this machine: compiled, put to the golden test, timed from counts to columns."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric_core import BundleError, EucentricError
from eucentric_models import ModelsError
from eucentric_models.backends import BACKENDS, Backend
from eucentric_models.engines import EngineModel, LiveModel, ModelDescription, PortableModel

from ._backend_choice import Candidate, TuningRecord, fastest, machine_name, network_name
from ._errors import TuningError
from ._model_loader import require_golden_answers

__all__ = ["lattice_frame", "tune"]

_FEWEST_TIMES, _MOST_TIMES = 5, 200


def tune(
    folder: Path,
    model: EngineModel,
    *,
    bundle_sha256: str,
    shapes: Sequence[tuple[int, int]],
    pixel_size_m: float | None,
    threads: int,
    seconds: float = 3.0,
    tell: Callable[[Candidate], None] = lambda candidate: None,
    begin: Callable[[str], None] = lambda name: None,
    backends: Sequence[Backend] = BACKENDS,
) -> TuningRecord:
    """Time every back end that this machine has, and choose the fastest that passes the golden test.

    Args:
        folder: of the model, whose golden chips are asked.
        model: as its engine opened it.
        bundle_sha256: what the record is kept under.
        shapes: `(ny, nx)` of raw frames.
        pixel_size_m: of these frames; None where networks take them as they are.
        threads: CPU threads that one frame may use.
        seconds: how long each back end is timed for each shape.
        tell: hears of each candidate as it is done.
        begin: hears the name of each before.
        backends: those to try.

    Raises:
        TuningError: the model runs on no other back end, or none passes.
    """
    if not isinstance(model, PortableModel):
        raise TuningError(
            f"Models of the engine {model.description.engine!r} run as their engine runs them.",
            safe="nothing was changed.",
            next_step="serve it as it is; there is nothing to choose.",
        )
    candidates = []
    for backend in backends:
        begin(backend.name)
        candidate = _tried(folder, model, backend, shapes, pixel_size_m, threads, seconds)
        candidates.append(candidate)
        tell(candidate)
    chosen = fastest(tuple(candidates))
    if chosen is None:
        raise TuningError(
            "No back end of this machine passes the golden test.",
            safe="nothing was changed; the service uses the reference.",
            next_step="see the reasons in the table; check the model with `eucentric models verify`.",
        )
    description: ModelDescription = model.description
    return TuningRecord(
        machine=machine_name(),
        threads=threads,
        bundle_sha256=bundle_sha256,
        network=network_name(description.network),
        members=len(description.members),
        shapes=tuple(shapes),
        candidates=tuple(candidates),
        chosen=chosen.name,
    )


def _tried(
    folder: Path,
    model: PortableModel,
    backend: Backend,
    shapes: Sequence[tuple[int, int]],
    pixel_size_m: float | None,
    threads: int,
    seconds: float,
) -> Candidate:
    if reason := backend.unavailable():
        return Candidate(name=backend.name, refused=reason)
    try:
        started_s = time.perf_counter()
        served = model.on_backend(backend.name, threads=threads)
        error = require_golden_answers(folder, served)
        compile_s = time.perf_counter() - started_s
        times_s = [
            took_s
            for shape in shapes
            for took_s in _timed(served, lattice_frame(shape), pixel_size_m=pixel_size_m, seconds=seconds)
        ]
    except (BundleError, ModelsError) as refusal:
        return Candidate(name=backend.name, refused=refusal.what[:500])
    except EucentricError as refusal:
        return Candidate(name=backend.name, refused=f"{refusal.code}: {refusal.what[:500]}")
    p50_s, p99_s = np.percentile(times_s, [50, 99]).tolist()
    return Candidate(
        name=backend.name,
        p50_ms=1e3 * p50_s,
        p99_ms=1e3 * p99_s,
        compile_s=compile_s,
        golden_error=error,
    )


def _timed(
    model: EngineModel, frame: NDArray[np.float32], *, pixel_size_m: float | None, seconds: float
) -> list[float]:
    if not isinstance(model, LiveModel):
        raise TuningError(
            f"The engine {model.description.engine!r} answers no live frames on its back ends.",
            safe="nothing was changed.",
            next_step="report it to whoever made the engine.",
        )
    model.live([frame], pixel_sizes_m=[pixel_size_m])
    times_s: list[float] = []
    until_s = time.perf_counter() + seconds
    while len(times_s) < _FEWEST_TIMES or (time.perf_counter() < until_s and len(times_s) < _MOST_TIMES):
        started_s = time.perf_counter()
        model.live([frame], pixel_sizes_m=[pixel_size_m])
        times_s.append(time.perf_counter() - started_s)
    return times_s


def lattice_frame(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Counts of a lattice of peaks 12 pixels apart: decoding takes as long as on a real frame."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    peaks = np.exp(-(((y % 12) - 6) ** 2 + ((x % 12) - 6) ** 2) / 8)
    return np.random.default_rng(0).poisson(20 + 180 * peaks).astype(np.float32)
