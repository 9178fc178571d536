"""Nion's controls by name: an unknown one is an error, and what was written is read back."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from typing import Protocol

from ..vendor_api import VendorCallError

__all__ = ["ColumnSettings", "Controls", "NionControls"]

_RELATIVE_TOLERANCE = 1e-9
_ABSOLUTE_TOLERANCE = 1e-15


class NionControls(Protocol):
    """The part of Nion's instrument that holds the controls."""

    def TryGetVal(self, s: str) -> tuple[bool, float | None]:  # noqa: N802
        """Whether there is such a control, and its value."""
        ...

    def SetVal(self, s: str, val: float) -> bool:  # noqa: N802
        """Whether there is such a control; it has the value then."""
        ...


@dataclass(frozen=True, slots=True)
class ColumnSettings:
    """Stage and column at one moment. Vectors are (x, y); stage and shift as the vocabulary counts them."""

    blanked: bool
    stage_m: tuple[float, float]
    beam_shift_m: tuple[float, float]
    defocus_m: float
    stigmator_m: tuple[float, float]
    beam_current_a: float
    convergence_angle_rad: float
    high_tension_v: float


class Controls:
    """Reads and writes Nion's controls. Any thread may use it.

    Nion's stage coordinate says where the specimen has been pushed to; ours says which place of the
    specimen is on the optical axis. They have opposite signs.
    """

    def __init__(self, nion: NionControls) -> None:
        self._nion = nion

    def read(self, name: str) -> float:
        """The value of a control.

        Raises:
            VendorCallError: there is no such control.
        """
        known, value = self._nion.TryGetVal(name)
        if not known or value is None:
            raise _unknown(name)
        return float(value)

    def write(self, name: str, value: float) -> float:
        """Set a control and return what it reads then.

        Raises:
            VendorCallError: there is no such control, or it did not take the value.
        """
        if not self._nion.SetVal(name, value):
            raise _unknown(name)
        reported = self.read(name)
        if not isclose(reported, value, rel_tol=_RELATIVE_TOLERANCE, abs_tol=_ABSOLUTE_TOLERANCE):
            raise VendorCallError(
                f"Control {name!r} was set to {value:.6e} and reads {reported:.6e}.",
                safe="nothing else was changed.",
                next_step="read the instrument's state; something else may be setting this control.",
                control=name,
            )
        return reported

    def read_vector(self, name: str) -> tuple[float, float]:
        """The (x, y) of a control; errors as `read`."""
        return self.read(f"{name}.x"), self.read(f"{name}.y")

    def write_vector(self, name: str, x: float, y: float) -> tuple[float, float]:
        """Set the (x, y) of a control and return what it reads then; errors as `write`."""
        return self.write(f"{name}.x", x), self.write(f"{name}.y", y)

    @property
    def blanked(self) -> bool:
        """Whether the beam is off the specimen."""
        return self.read("C_Blank") != 0.0

    def blank(self, blanked: bool) -> None:
        """Take the beam off the specimen, or let it on."""
        self.write("C_Blank", 1.0 if blanked else 0.0)

    @property
    def stage_m(self) -> tuple[float, float]:
        """The place (x, y) of the specimen that is on the optical axis."""
        x, y = self.read_vector("stage_position_m")
        return 0.0 - x, 0.0 - y

    def move_stage(self, x_m: float, y_m: float) -> tuple[float, float]:
        """Bring a place of the specimen onto the optical axis, and return what the stage reports then."""
        self.write_vector("stage_position_m", -x_m, -y_m)
        return self.stage_m

    def settings(self) -> ColumnSettings:
        """Stage and column as they stand."""
        return ColumnSettings(
            blanked=self.blanked,
            stage_m=self.stage_m,
            beam_shift_m=self.read_vector("CSH"),
            defocus_m=self.read("C10"),
            stigmator_m=self.read_vector("C12"),
            beam_current_a=self.read("BeamCurrent"),
            convergence_angle_rad=self.read("ConvergenceAngle"),
            high_tension_v=self.read("EHT"),
        )


def _unknown(name: str) -> VendorCallError:
    return VendorCallError(
        f"This version of Nion's software has no control named {name!r}.",
        safe="nothing was changed.",
        next_step="install the version that the extra 'usim' names.",
        control=name,
    )
