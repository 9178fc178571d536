"""What can be chosen about every vendor's driver."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from eucentric_core import FrozenModel, StageLimits

from .._options import DriverOptions

__all__ = ["ArrivalOptions", "VendorOptions"]


class ArrivalOptions(FrozenModel):
    """When a move counts as arrived: reported twice within the tolerance, and settled."""

    tolerance_m: Annotated[float, Field(gt=0, le=1e-5)] = 1e-7
    tolerance_rad: Annotated[float, Field(gt=0, le=0.1)] = 1e-3
    settle_time_s: Annotated[float, Field(ge=0, le=30)] = 0.5
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 60.0


class VendorOptions(DriverOptions):
    """Options that the drivers of vendors' interfaces share.

    Attributes:
        call_timeout_s: longest wait for an ordinary vendor call.
        arrival: when a stage move counts as arrived.
        stage_limits: the stage's envelope; narrows what the vendor reports, and is needed where the vendor
            reports none.
        scan_detector: the scanning detector whose frames are published; needed where there are several and
            none is called HAADF.
        scan_stream: name of the stream of its frames; None: the detector's name in small letters.
        beam_current_a: the beam current, measured, for the dose in frame headers; None: not known.
    """

    call_timeout_s: Annotated[float, Field(ge=0.1, le=120)] = 10.0
    arrival: ArrivalOptions = ArrivalOptions()
    stage_limits: StageLimits | None = None
    scan_detector: str | None = None
    scan_stream: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")] | None = None
    beam_current_a: Annotated[float, Field(gt=0, le=1e-6)] | None = None
