"""`montage`: overlapping tiles, registered and stitched."""

from __future__ import annotations

from eucentric_agents.procedures import Montage, MontagePlan, MontageResult

from .._pipeline import Ending
from ._instrument import InstrumentRequest, acquire, instrument_of
from ._spec import FlowSpec, Running

__all__ = ["MONTAGE", "MontageRequest"]


class MontageRequest(InstrumentRequest):
    """A grid of tiles; the mosaic goes to `mosaic.h5` in the folder of the run."""

    plan: MontagePlan = MontagePlan(rows=3, columns=3)


def _carry_out(running: Running, request: MontageRequest) -> Ending:
    path = running.folder / "mosaic.h5"

    def keep(mosaic: MontageResult) -> str:
        mosaic.save(path)
        height, width = mosaic.frame.array.shape
        placed = sum(tile.registered for tile in mosaic.tiles)
        return f"{placed} of {len(mosaic.tiles)} tiles registered, {height} x {width} pixels, in {path}"

    return Ending("done", acquire(running, request, Montage(request.plan), keep))


MONTAGE = FlowSpec(
    name="montage",
    summary="Take overlapping tiles, register and stitch them.",
    request=MontageRequest,
    carry_out=_carry_out,
    subject=instrument_of,
)
