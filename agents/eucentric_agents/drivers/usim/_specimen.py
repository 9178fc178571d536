"""The digital twin's specimen under Nion's column."""

from __future__ import annotations

import threading
from math import atan2, hypot, pi
from typing import Any

import numpy as np

from eucentric_models.image_formation import ImagingConditions, detect
from eucentric_models.view import View

from ..twin import Lattice, Specimen, Terrain
from ._controls import ColumnSettings, NionControls
from ._options import UsimOptions
from ._scan_source import Formed

__all__ = ["SpecimenScene"]

_NM = 1e-9


class SpecimenScene:
    """Forms frames of a specimen that drifts and takes damage. Any thread may use it.

    Args:
        options: specimen, probe and detector.
    """

    def __init__(self, options: UsimOptions) -> None:
        specimen_rng, damage_rng, self._frame_rng = (
            np.random.default_rng(seed) for seed in np.random.SeedSequence(options.seed).spawn(3)
        )
        twin = options.twin
        self._options = options
        self._lock = threading.Lock()
        self._specimen: Specimen = (
            Terrain(twin, specimen_rng) if twin.is_landscape else Lattice(twin, specimen_rng, damage_rng)
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names of the truth."""
        return self._specimen.sight.classes

    def view(self, column: ColumnSettings, rotation_rad: float) -> View:
        """Where the field lies on the specimen."""
        drift_y, drift_x = self._specimen.drift_m
        x, y = (stage + shift for stage, shift in zip(column.stage_m, column.beam_shift_m, strict=True))
        return View((y + drift_y, x + drift_x), rotation_rad)

    def form(self, _nion: NionControls, column: ColumnSettings, parameters: Any) -> Formed:
        """Form one frame; see `Scene`."""
        conditions = self._conditions(column, parameters)
        shape = (int(parameters.size.height), int(parameters.size.width))
        with self._lock:
            sight = self._specimen.sight
            view = self.view(column, float(parameters.rotation_rad))
        lit, truth = sight.frame(conditions, shape, self._frame_rng, view)
        dark = detect(np.zeros(shape, np.float32), conditions, self._frame_rng)
        return Formed(lit.astype(np.float32), dark.astype(np.float32), truth)

    def expose(self, view: View, half_size_m: tuple[float, float], fluence_e_per_m2: float) -> None:
        """Irradiate a field, (y, x) half sizes."""
        if fluence_e_per_m2 > 0:
            with self._lock:
                self._specimen.expose(view, half_size_m, fluence_e_per_m2)

    def wait(self, duration_s: float) -> None:
        """Let the specimen drift."""
        with self._lock:
            self._specimen.wait(duration_s)

    def fluence_e_per_m2(self, view: View, half_size_m: tuple[float, float]) -> float:
        """Mean fluence that a field has received."""
        with self._lock:
            return self._specimen.fluence_e_per_m2(view, half_size_m)

    def _conditions(self, column: ColumnSettings, parameters: Any) -> ImagingConditions:
        probe = self._options.column
        x, y = column.stigmator_m
        # C1,2 has twice the angle of the line focus: chi = theta^2 / 2 * |C1,2| cos(2 (phi - angle))
        # (Krivanek, Dellby and Lupini, Ultramicroscopy 78, 1, 1999). A turned scan sees it turned back.
        angle_rad = atan2(y, x) / 2 - float(parameters.rotation_rad)
        return ImagingConditions(
            # Nion's scan device hands on the height of the field, whichever side of the frame is longer.
            pixel_size_m=float(parameters.fov_nm) * _NM / int(parameters.size.height),
            probe_sigma_m=probe.probe_sigma_m,
            defocus_m=column.defocus_m,
            convergence_angle_rad=column.convergence_angle_rad,
            astigmatism_m=hypot(x, y),
            astigmatism_angle_rad=(angle_rad + pi / 2) % pi - pi / 2,
            tail_fraction=probe.tail_fraction,
            tail_width_ratio=probe.tail_width_ratio,
            beam_current_a=column.beam_current_a,
            dwell_time_s=float(parameters.pixel_time_us) * 1e-6,
            jitter_rms_px=probe.jitter_rms_px,
            **self._options.detector.model_dump(),
        )
