"""How fast a model was on the machine that will serve it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ._model import FrozenModel, Identifier, Sha256, UtcDatetime

__all__ = ["LatencyMeasurement"]

_Milliseconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class LatencyMeasurement(FrozenModel):
    """Whole analyses, raw counts to findings, one frame at a time; made by the edge, read by whoever judges.

    Attributes:
        edge: name of the edge.
        machine: system, processor and how many of them.
        model_name: the model.
        model_version: in the signed manifest of the bundle.
        envelope_sha256: of that manifest: what was measured is this bundle and no other.
        backend: what computed it.
        threads: CPU threads that one frame may use there.
        shape: `(ny, nx)` of the frames.
        pixel_size_m: of the frames; None where it is unknown.
        frames: how many were timed, after two that were not.
        p50_ms: median.
        p99_ms: 99th percentile; of fewer than 100 frames close to the slowest.
        beside_frames: whether a model answered frames of the instrument meanwhile.
        measured_utc: when.
    """

    schema_version: Literal[1] = 1
    edge: Identifier
    machine: Annotated[str, Field(max_length=300)]
    model_name: Identifier
    model_version: Annotated[int, Field(ge=1)]
    envelope_sha256: Sha256
    backend: Annotated[str, Field(max_length=64)]
    threads: Annotated[int, Field(ge=1, le=256)]
    shape: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    pixel_size_m: float | None
    frames: Annotated[int, Field(ge=1)]
    p50_ms: _Milliseconds
    p99_ms: _Milliseconds
    beside_frames: bool
    measured_utc: UtcDatetime

    @property
    def sentence(self) -> str:
        """For people."""
        ny, nx = self.shape
        beside = ", beside the frames in service" if self.beside_frames else ""
        return (
            f"at {self.edge} ({self.machine}; {self.backend}, {self.threads} thread(s)), "
            f"{self.frames} frames of {ny} x {nx}: {self.p50_ms:.1f} ms p50, {self.p99_ms:.1f} ms p99{beside}"
        )
