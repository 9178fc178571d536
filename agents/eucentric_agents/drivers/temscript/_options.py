"""What can be chosen about a temscript server. Metres, seconds, radians."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from eucentric_core import FrozenModel

from ..vendor_api import VendorOptions

__all__ = ["TemscriptCalibrations", "TemscriptOptions"]

_Address = Annotated[str, Field(pattern=r"^[^:\s]+:[0-9]{1,5}$")]
_PerUnit = Annotated[float, Field(ge=-1.0, le=1.0)]


class TemscriptCalibrations(FrozenModel):
    """What turns the microscope's raw values into physical ones. Without a record its verb is absent.

    Attributes:
        field_width_at_magnification_1_m: scanned field of view times STEM magnification.
        tem_field_width_at_magnification_1_m: illuminated field times indicated magnification, in TEM mode.
            One of the two is needed, because no dose is known without a field of view; the null microscope
            has 0.1 m for both.
        stem_full_frame_px: side of a STEM frame without binning; needed to scan.
        defocus_m_per_unit: for microscopes that give the defocus in arbitrary units (all but the Titans).
        stigmator_m_per_unit: two-fold astigmatism per unit of the condenser stigmator.
    """

    field_width_at_magnification_1_m: Annotated[float, Field(gt=0, le=10)] | None = None
    tem_field_width_at_magnification_1_m: Annotated[float, Field(gt=0, le=10)] | None = None
    stem_full_frame_px: Annotated[int, Field(ge=16, le=16384)] | None = None
    defocus_m_per_unit: _PerUnit | None = None
    stigmator_m_per_unit: _PerUnit | None = None


class TemscriptOptions(VendorOptions):
    """Options of the driver `temscript`.

    Attributes:
        address: `host:port` of a running temscript server. It asks nobody who they are: let it listen on the
            microscope's own private network only.
        simulated: start temscript's own server with its null microscope on this machine instead.
        urgent_address: a second temscript server of the same microscope, for blanking alone. temscript's
            server answers one call at a time; with a second one an acquisition of any length can be blanked.
        max_acquisition_s: longest scan or exposure; None: 0.4 s, or 600 s where there is a second server.
        calibrations: what turns raw values into physical ones.
    """

    address: _Address | None = None
    simulated: bool = False
    urgent_address: _Address | None = None
    max_acquisition_s: Annotated[float, Field(gt=0, le=600)] | None = None
    calibrations: TemscriptCalibrations = TemscriptCalibrations()

    @model_validator(mode="after")
    def _one_microscope(self) -> Self:
        if (self.address is None) != self.simulated:
            raise ValueError("give either an address, or simulated = true")
        if self.urgent_address is not None and self.simulated:
            raise ValueError("the null microscope has one server: leave urgent_address out")
        return self

    @property
    def longest_acquisition_s(self) -> float:
        """The longest scan or exposure that is allowed."""
        if self.max_acquisition_s is not None:
            return self.max_acquisition_s
        return 0.4 if self.urgent_address is None else 600.0
