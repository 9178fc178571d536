"""Where the beam has been: every electron that reaches the specimen is put down to a place."""

from __future__ import annotations

import threading
import time
from math import pi, sqrt

import numpy as np

from eucentric_models.image_formation import ELEMENTARY_CHARGE_C
from eucentric_models.view import View

from ._column import Column, ColumnState
from ._specimen import Sight, Specimen
from ._stage import TwinStage

__all__ = ["Exposure"]


class Exposure:
    """The specimen under the column on the stage. Any thread may use it.

    Args:
        specimen: what is irradiated.
        stage: what it lies on.
        column: what irradiates it.
    """

    def __init__(self, specimen: Specimen, stage: TwinStage, column: Column) -> None:
        self._lock = threading.Lock()
        self._specimen = specimen
        self._stage = stage
        self._column = column
        self._parked_since_s = time.monotonic()

    def look(self, column: ColumnState) -> tuple[Sight, View]:
        """The specimen as it is now, and where the field lies on it."""
        x, y, _z = self._stage.actual_m
        foreshortening = self._stage.foreshortening
        shift_x, shift_y = self._column.true_shift_m(column)
        with self._lock:
            drift_y, drift_x = self._specimen.drift_m
            centre = (y + drift_y + shift_y / foreshortening[0], x + drift_x + shift_x / foreshortening[1])
            return self._specimen.sight, View(centre, column.rotation_rad, foreshortening)

    def spot(self, column: ColumnState, view: View) -> View:
        """A view of the place where the probe is parked; the middle of the field unless it was told."""
        if column.parked is None:
            return view
        offset = [(fraction - 0.5) * column.field_of_view_m for fraction in column.parked]
        return View(view.place_m((offset[0], offset[1])), view.rotation_rad, view.foreshortening)

    def wait(self, duration_s: float) -> None:
        """Let the specimen drift."""
        with self._lock:
            self._specimen.wait(duration_s)

    def scan(self, view: View, half_size_m: tuple[float, float], fluence_e_per_m2: float) -> None:
        """A field was irradiated evenly."""
        if fluence_e_per_m2 > 0:
            with self._lock:
                self._specimen.expose(view, half_size_m, fluence_e_per_m2)

    def field(self, column: ColumnState, duration_s: float) -> None:
        """The present square field was scanned for so long."""
        if not column.dark:
            half = column.field_of_view_m / 2
            electrons = column.beam_current_a * duration_s / ELEMENTARY_CHARGE_C
            _sight, view = self.look(column)
            self.scan(view, (half, half), electrons / column.field_of_view_m**2)

    def stand(self, column: ColumnState, duration_s: float) -> float:
        """The probe stood at its spot for so long; the fluence it left there (electrons per m^2)."""
        if column.dark or duration_s <= 0:
            return 0.0
        z_m = self._stage.actual_m[2]
        yy, xx, yx = self._column.conditions(
            column, width_px=512, dwell_time_s=1e-6, z_m=z_m
        ).probe_covariance_m2
        area = 2 * pi * sqrt(max(yy * xx - yx**2, np.finfo(float).tiny))
        electrons = column.beam_current_a * duration_s / ELEMENTARY_CHARGE_C
        _sight, view = self.look(column)
        half = sqrt(area) / 2
        self.scan(self.spot(column, view), (half, half), electrons / area)
        return electrons / area

    def rest(self, column: ColumnState, *, scanning: bool) -> None:
        """Put down what a parked probe has done since the last call; call it before anything changes."""
        with self._lock:
            now_s = time.monotonic()
            since_s, self._parked_since_s = self._parked_since_s, now_s
        if column.parked is not None and not scanning:
            self.stand(column, now_s - since_s)

    def fluence_e_per_m2(self, column: ColumnState) -> float:
        """Mean fluence that the present field has received."""
        half = column.field_of_view_m / 2
        _sight, view = self.look(column)
        with self._lock:
            return self._specimen.fluence_e_per_m2(view, (half, half))
