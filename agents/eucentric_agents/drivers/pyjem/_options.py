"""What can be chosen about a JEOL microscope, and the records that make its raw values physical."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from eucentric_core import FrozenModel

from ..vendor_api import VendorOptions
from ._counts import Counts, CountVector

__all__ = ["FieldOfViewRecord", "PyjemCalibrations", "PyjemOptions"]

_Side = Annotated[int, Field(ge=16, le=4096)]


class FieldOfViewRecord(FrozenModel):
    """One calibrated magnification: the selector's index, what it then indicates, the field's true width."""

    selector: Annotated[int, Field(ge=0, le=200)]
    magnification: Annotated[float, Field(gt=0, le=1e9)]
    field_of_view_m: Annotated[float, Field(gt=0, le=1e-2)]


class PyjemCalibrations(FrozenModel):
    """What turns DAC counts and selector indices into physical values. Without a record its verb is absent.

    Attributes:
        fields_of_view: the calibrated magnifications; at least one, because no dose is known without it.
        frame_sizes_px: sides of the square frames that show the whole field; none: the instrument does
            not scan.
        defocus: the objective lens (`Lens3.SetOLc`).
        beam_shift: the condenser deflector (`Def3.SetCLA1`).
        stigmator: the condenser stigmator (`Def3.SetCLs`), as two-fold astigmatism.
    """

    fields_of_view: Annotated[tuple[FieldOfViewRecord, ...], Field(min_length=1, max_length=200)]
    frame_sizes_px: Annotated[tuple[_Side, ...], Field(max_length=20)] = ()
    defocus: Counts | None = None
    beam_shift: CountVector | None = None
    stigmator: CountVector | None = None


class PyjemOptions(VendorOptions):
    """Options of the driver `pyjem`.

    PyJEM reports no stage limits: without `stage_limits` the stage can be read and halted, not moved.
    """

    calibrations: PyjemCalibrations
