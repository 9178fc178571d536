"""What the simulated column accepts. Nion's software itself would take 99 metres."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

from eucentric_core import CommandRefusedError

from ._options import UsimOptions

__all__ = ["Limits"]

_MAX_SIDE_PX = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds in metres; `check_...` raise `CommandRefusedError` beyond them."""

    stage_m: float
    field_m: tuple[float, float]
    pixel_m: tuple[float, float]
    defocus_m: float
    stigmator_m: float

    @classmethod
    def of(cls, options: UsimOptions) -> Limits:
        """The limits that follow from the options."""
        twin = options.sample == "twin"
        return cls(
            stage_m=options.stage_limit_m or options.extent_m / 2,
            field_m=(5e-10, options.extent_m),
            # What the image formation of the digital twin covers.
            pixel_m=(1e-13, 1e-6) if twin else (0.0, 1.0),
            defocus_m=5e-7 if twin else 5e-6,
            stigmator_m=5e-7 if twin else 5e-6,
        )

    def check_field(self, field_of_view_m: float) -> None:
        """Check a width of the scanned field."""
        low, high = self.field_m
        if not low <= field_of_view_m <= high:
            raise _beyond("A field of view", field_of_view_m, f"{low:.1e} to {high:.1e} m")

    def check_frame(self, height_px: int, width_px: int, field_of_view_m: float) -> None:
        """Check the size of a frame."""
        if max(height_px, width_px) > _MAX_SIDE_PX:
            raise CommandRefusedError(
                f"A frame of {height_px} x {width_px} pixels is too large for the simulator.",
                safe="nothing was scanned.",
                next_step=f"scan at most {_MAX_SIDE_PX} pixels a side.",
            )
        low, high = self.pixel_m
        if not low <= field_of_view_m / width_px <= high:
            raise _beyond("A pixel size", field_of_view_m / width_px, f"{low:.1e} to {high:.1e} m")

    def check_defocus(self, defocus_m: float) -> None:
        """Check a defocus."""
        if abs(defocus_m) > self.defocus_m:
            raise _beyond("A defocus", defocus_m, f"+-{self.defocus_m:.1e} m")

    def check_stigmator(self, x_m: float, y_m: float) -> None:
        """Check a two-fold astigmatism."""
        if hypot(x_m, y_m) > self.stigmator_m:
            raise _beyond("An astigmatism", hypot(x_m, y_m), f"up to {self.stigmator_m:.1e} m")

    def check_shift(self, x_m: float, y_m: float) -> None:
        """Check a beam shift."""
        if max(abs(x_m), abs(y_m)) > self.stage_m:
            raise _beyond("A beam shift", max(abs(x_m), abs(y_m)), f"+-{self.stage_m:.1e} m along x and y")


def _beyond(what: str, value_m: float, allowed: str) -> CommandRefusedError:
    return CommandRefusedError(
        f"{what} of {value_m:.3e} m is beyond this column.",
        safe="the optics are unchanged.",
        next_step=f"stay within {allowed}.",
    )
