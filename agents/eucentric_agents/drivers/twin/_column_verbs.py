"""What carries out the verbs of beam, optics and valve."""

from __future__ import annotations

import time

import numpy as np

from eucentric_core import CommandRefusedError
from eucentric_core.vocabulary import (
    AutoFocus,
    BeamBlank,
    BeamPark,
    BeamShift,
    BeamUnblank,
    ColumnValve,
    Command,
    Done,
    OpticsDefocus,
    OpticsFieldOfView,
    OpticsReport,
    OpticsScanRotation,
    OpticsStigmator,
    SimulationDrift,
    VectorReport,
)

from .._commands import Handler
from .._errors import ScanAbortedError
from .._scan_loop import ScanLoop
from ._column import Column
from ._exposure import Exposure
from ._options import ColumnOptions
from ._stage import TwinStage

__all__ = ["ColumnVerbs"]


class ColumnVerbs:
    """Handlers for a `CommandTable`.

    Args:
        options: how the automatic focus errs.
        column: what is told.
        exposure: counts what the beam does to the specimen.
        stage: whose height the automatic focus makes up for.
        loop: the scan that focusing needs for itself.
        rng: error of the automatic focus.
    """

    def __init__(
        self,
        options: ColumnOptions,
        column: Column,
        exposure: Exposure,
        stage: TwinStage,
        loop: ScanLoop,
        rng: np.random.Generator,
    ) -> None:
        self._options = options
        self._column = column
        self._exposure = exposure
        self._stage = stage
        self._loop = loop
        self._rng = rng

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """What carries out each verb."""
        return {
            BeamBlank: self._blank,
            BeamUnblank: self._unblank,
            BeamPark: self._park,
            BeamShift: self._shift,
            OpticsDefocus: self._defocus,
            OpticsFieldOfView: self._field_of_view,
            OpticsStigmator: self._stigmator,
            OpticsScanRotation: self._rotation,
            AutoFocus: self._auto_focus,
            ColumnValve: self._valve,
            SimulationDrift: self._drift,
        }

    def _blank(self, _command: BeamBlank) -> Done:
        before = self._column.state
        self._column.blank(True)
        self._exposure.rest(before, scanning=self._loop.scanning)
        return Done()

    def _unblank(self, _command: BeamUnblank) -> Done:
        self._column.blank(False)
        return Done()

    def _park(self, command: BeamPark) -> Done:
        self._column.park((command.y_fraction, command.x_fraction))
        return Done()

    def _shift(self, command: BeamShift) -> VectorReport:
        self._column.set_shift(command.x_m, command.y_m)
        return VectorReport(commanded=(command.x_m, command.y_m), reported=self._column.state.shift_m)

    def _defocus(self, command: OpticsDefocus) -> OpticsReport:
        self._column.set_defocus(command.defocus_m)
        return OpticsReport(commanded=command.defocus_m, reported=self._column.state.defocus_m)

    def _field_of_view(self, command: OpticsFieldOfView) -> OpticsReport:
        self._column.set_field_of_view(command.field_of_view_m)
        return OpticsReport(commanded=command.field_of_view_m, reported=self._column.state.field_of_view_m)

    def _stigmator(self, command: OpticsStigmator) -> VectorReport:
        self._column.set_stigmator(command.x_m, command.y_m)
        return VectorReport(commanded=(command.x_m, command.y_m), reported=self._column.stigmator_m)

    def _rotation(self, command: OpticsScanRotation) -> OpticsReport:
        self._column.set_rotation(command.rotation_rad)
        reported = self._column.state.rotation_rad
        return OpticsReport(commanded=command.rotation_rad, reported=reported, unit="rad")

    def _valve(self, command: ColumnValve) -> Done:
        self._column.set_valve(command.open)
        return Done()

    def _drift(self, command: SimulationDrift) -> Done:
        self._column.drift(command)
        return Done()

    def _auto_focus(self, _command: AutoFocus) -> OpticsReport:
        if self._column.state.dark:
            raise CommandRefusedError(
                "The automatic focus sees nothing: the beam is blanked or the valve is closed.",
                safe="the defocus is unchanged.",
                next_step="open the valve, unblank the beam and focus again.",
            )
        return self._loop.occupy(self._focus)

    def _focus(self) -> OpticsReport:
        column, began_s = self._column.state, time.monotonic()
        aborted = self._loop.pause(self._options.autofocus_time_s)
        self._exposure.field(column, time.monotonic() - began_s)
        self._exposure.rest(column, scanning=True)
        if aborted or self._column.state.dark:
            raise ScanAbortedError(
                "The automatic focus was aborted.",
                safe="the defocus is unchanged.",
                next_step="focus again when that is safe.",
            )
        error_m = float(self._rng.normal(0.0, self._options.autofocus_error_m))
        found_m = error_m - self._stage.actual_m[2]
        self._column.set_defocus(found_m)
        return OpticsReport(commanded=found_m, reported=self._column.state.defocus_m)
