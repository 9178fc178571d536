"""One frame with the beam on for no longer than the frame takes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from eucentric_core import ConfigurationError, Frame, FrozenModel, Microscope

from ._errors import ExposureCutShortError

__all__ = ["Exposure"]

_MAX_UNBLANK_S = 3600.0


class Exposure(FrozenModel):
    """How a procedure takes a frame. `field_of_view_m` None: as the instrument stands.

    `overhead_s` is what an acquisition may take beyond its dwell times (flyback, transport); it bounds
    the time for which the beam is unblanked.
    """

    height_px: Annotated[int, Field(ge=16, le=16384)] = 512
    width_px: Annotated[int, Field(ge=16, le=16384)] = 512
    dwell_time_s: Annotated[float, Field(ge=1e-8, le=1)] = 1e-6
    field_of_view_m: Annotated[float, Field(gt=0, le=1e-2)] | None = None
    stream: str = "haadf"
    overhead_s: Annotated[float, Field(gt=0, le=600)] = 20.0

    @property
    def max_duration_s(self) -> float:
        """Longest time the beam is on for one frame.

        Raises:
            ConfigurationError: over an hour, which no `unblank` may last.
        """
        duration_s = 1.5 * self.height_px * self.width_px * self.dwell_time_s + self.overhead_s
        if duration_s > _MAX_UNBLANK_S:
            raise ConfigurationError(
                f"One frame would take {duration_s:.0f} s with the beam on.",
                safe="nothing was exposed.",
                next_step=f"choose fewer pixels or a shorter dwell time: {_MAX_UNBLANK_S:g} s at most.",
            )
        return duration_s

    def take(self, scope: Microscope) -> Frame:
        """Unblank, scan, blank.

        Raises:
            ExposureCutShortError: someone blanked the beam before the frame was complete.
            EucentricError: the instrument refused or failed; the beam was blanked if that was possible.
        """
        max_duration_s = self.max_duration_s
        if self.field_of_view_m is not None:
            scope.set_field_of_view(self.field_of_view_m)
        try:
            scope.unblank(max_duration_s=max_duration_s)
            frame = scope.scan(
                height_px=self.height_px,
                width_px=self.width_px,
                dwell_time_s=self.dwell_time_s,
                stream=self.stream,
            )
            cut_short = scope.state().beam_blanked
        finally:
            scope.blank()
        if cut_short:
            raise ExposureCutShortError(
                "The beam was blanked while a frame was being taken.",
                safe="the beam is blanked; the frame is not used.",
                next_step="see who blanked it (an interlock, an operator, a time limit), then resume.",
            )
        return frame
