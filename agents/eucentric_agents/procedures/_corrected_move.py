"""A stage move that is measured by images taken before and after, and corrected until it has arrived."""

from __future__ import annotations

from math import ceil

import numpy as np
import numpy.typing as npt

from eucentric_core import ConfigurationError, Frame, Microscope, MoveFailedError, StagePosition
from eucentric_core.vocabulary import MoveReport

from ._exposure import Exposure
from ._geometry import StageGeometry
from ._matching import Matching
from ._unstage import unstaged

__all__ = ["corrected_move"]

_Float = npt.NDArray[np.float64]


def corrected_move(
    scope: Microscope,
    *,
    x_m: float,
    y_m: float,
    exposure: Exposure,
    tolerance_m: float,
    max_corrections: int = 4,
    min_overlap: float = 0.5,
    approach_m: float | None = None,
    geometry: StageGeometry | None = None,
    matching: Matching | None = None,
) -> MoveReport:
    """Move the stage to (x, y) and make sure by image registration that it got there.

    Takes an image, moves, takes another, and measures the displacement where both overlap; a long move is
    made in hops that keep `min_overlap` of the field. Corrections approach from the same side, so that
    backlash does not swallow them. Where the stage stood at the beginning is taken from what it reported:
    `actual` is measured from there. Blanked whenever no frame is taken, and unstaged at the end.

    Args:
        scope: the microscope; a session must be open.
        x_m: where to, stage axes.
        y_m: where to, stage axes.
        exposure: how the images are taken.
        tolerance_m: how far from there counts as arrived.
        max_corrections: how often to correct.
        min_overlap: share of the field (each side) that two successive images have in common.
        approach_m: how far before the target a correction starts; None: twice the stage's stated tolerance.
        geometry: how the image lies on the stage's axes.
        matching: when two images count as registered.

    Returns:
        Commanded (the place asked for), reported and actual (measured) position.

    Raises:
        MoveFailedError: it is not there after the corrections, or an image could not be registered.
        ConfigurationError: the field is too small for the stage's error.
        EucentricError: a move or a scan failed.
    """
    with unstaged(scope):
        move = _MeasuredMove(
            scope, exposure, tolerance_m, min_overlap, geometry or StageGeometry(), matching or Matching()
        )
        target = np.array([x_m, y_m])
        move.hop_to(target)
        corrections = 0
        approach = move.stage_tolerance_m * 2 if approach_m is None else approach_m
        while float(np.hypot(*(target - move.actual_m))) > tolerance_m:
            if corrections == max_corrections:
                off_m = float(np.hypot(*(target - move.actual_m)))
                raise move.failed(f"it is {off_m:.2e} m off after {corrections} corrections")
            move.correct(target - move.actual_m, approach)
            corrections += 1
        return move.report(target)


class _MeasuredMove:
    """Where the stage is by the images taken so far."""

    def __init__(
        self,
        scope: Microscope,
        exposure: Exposure,
        tolerance_m: float,
        min_overlap: float,
        geometry: StageGeometry,
        matching: Matching,
    ) -> None:
        stage = scope.stage()
        self._scope = scope
        self._exposure = exposure
        self._tolerance_m = tolerance_m
        self._geometry = geometry
        self._matching = matching
        self._commanded_m = np.array([stage.commanded.x_m, stage.commanded.y_m])
        self.actual_m = np.array([stage.reported.x_m, stage.reported.y_m])
        self.stage_tolerance_m = stage.tolerance_m
        self._frame: Frame = exposure.take(scope)
        sides_m = np.array(self._frame.array.shape) * self._frame.header.pixel_size_m
        self._longest_hop_m = (1 - min_overlap) * float(sides_m.min())
        if self._longest_hop_m <= 0 or self.stage_tolerance_m >= min_overlap * float(sides_m.min()):
            raise ConfigurationError(
                f"A field of {float(sides_m.min()):.2e} m is too small: the stage may be off by "
                f"{self.stage_tolerance_m:.2e} m.",
                safe="the stage did not move; the beam is blanked.",
                next_step="choose a larger field of view or a larger overlap.",
            )

    def hop_to(self, target_m: _Float) -> None:
        start = self._commanded_m
        hops = max(1, ceil(float(np.abs(target_m - start).max()) / self._longest_hop_m))
        for hop in range(1, hops + 1):
            self._move(start + (target_m - start) * hop / hops)

    def correct(self, by_m: _Float, approach_m: float) -> None:
        target = self._commanded_m + by_m
        if approach_m > 0:
            x_m, y_m = (float(value) for value in target - approach_m)
            self._scope.move_stage(x_m=x_m, y_m=y_m)
        self._move(target)

    def _move(self, commanded_m: _Float) -> None:
        expected_m = commanded_m - self._commanded_m
        self._scope.move_stage(x_m=float(commanded_m[0]), y_m=float(commanded_m[1]))
        self._commanded_m = commanded_m
        frame = self._exposure.take(self._scope)
        pixel_m, rotation = frame.header.pixel_size_m, frame.header.optics.scan_rotation_rad
        expected_px = self._geometry.to_image_m(expected_m, rotation) / pixel_m
        found, refusal = self._matching.register(
            self._frame.array,
            frame.array,
            expected_px=(float(expected_px[0]), float(expected_px[1])),
            search_px=2 * self.stage_tolerance_m / pixel_m + 2.0,
        )
        if found is None or refusal is not None:
            raise self.failed(f"the image before and after cannot be registered: {refusal}")
        offset_m = np.array(found.offset_px) * pixel_m
        self.actual_m = self.actual_m + self._geometry.to_stage_m(offset_m, rotation)
        self._frame = frame

    def report(self, target_m: _Float) -> MoveReport:
        stage = self._scope.stage()
        return stage.model_copy(
            update={
                "commanded": _at(stage.commanded, target_m),
                "actual": _at(stage.reported, self.actual_m),
                "tolerance_m": self._tolerance_m,
            }
        )

    def failed(self, why: str) -> MoveFailedError:
        x_m, y_m = (float(value) for value in self.actual_m)
        return MoveFailedError(
            f"The stage did not arrive: {why}.",
            safe="the beam is blanked, the stage stands still.",
            next_step="read the stage; allow more corrections, a larger tolerance or a larger field of view.",
            actual_x_m=x_m,
            actual_y_m=y_m,
        )


def _at(position: StagePosition, place_m: _Float) -> StagePosition:
    return position.model_copy(update={"x_m": float(place_m[0]), "y_m": float(place_m[1])})
