"""Optical controls of a vendor's microscope behind the vocabulary: told, read back, reported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from eucentric_core import CommandRefusedError
from eucentric_core.vocabulary import (
    AutoFocus,
    BeamPark,
    BeamShift,
    ColumnValve,
    Command,
    Done,
    OpticsDefocus,
    OpticsFieldOfView,
    OpticsReport,
    OpticsScanRotation,
    OpticsStigmator,
    VectorReport,
)

from .._commands import Handler
from ._parts import BeamPart, Scalar, Vector, VendorScope

__all__ = ["optics_handlers"]

S = TypeVar("S")
_AUTO_FOCUS_LIMIT_S = 120.0


_Call = Callable[[Callable[[S], Any], float | None], Any]


def optics_handlers(scope: VendorScope[S], call: _Call[S]) -> dict[type[Command], Handler]:
    """What carries out the optical verbs that this microscope has.

    Args:
        scope: its parts.
        call: runs a vendor call on the command lane, for at most so many seconds.
    """
    handlers: dict[type[Command], Handler] = {}
    if scope.defocus is not None:
        handlers[OpticsDefocus] = _scalar(scope.defocus, call, lambda c: c.defocus_m, "m")
        if scope.auto_focus is not None:
            handlers[AutoFocus] = _auto_focus(scope.auto_focus, scope.beam, scope.defocus, call)
    if scope.field_of_view is not None:
        handlers[OpticsFieldOfView] = _scalar(scope.field_of_view, call, lambda c: c.field_of_view_m, "m")
    if scope.scan_rotation is not None:
        handlers[OpticsScanRotation] = _scalar(scope.scan_rotation, call, lambda c: c.rotation_rad, "rad")
    if scope.stigmator is not None:
        handlers[OpticsStigmator] = _vector(scope.stigmator, call)
    if scope.beam_shift is not None:
        handlers[BeamShift] = _vector(scope.beam_shift, call)
    if scope.park is not None:
        handlers[BeamPark] = _park(scope.park, call)
    if scope.column_valve is not None:
        handlers[ColumnValve] = _valve(scope.column_valve, call)
    return handlers


def _scalar(
    control: Scalar[S], call: _Call[S], value_of: Callable[[Any], float], unit: Any
) -> Callable[[Any], OpticsReport]:
    def handler(command: Any) -> OpticsReport:
        value = value_of(command)

        def work(scope: S) -> float:
            control.write(scope, value)
            return control.read(scope)

        return OpticsReport(commanded=value, reported=call(work, None), unit=unit)

    return handler


def _vector(control: Vector[S], call: _Call[S]) -> Callable[[Any], VectorReport]:
    def handler(command: BeamShift | OpticsStigmator) -> VectorReport:
        value = (command.x_m, command.y_m)

        def work(scope: S) -> tuple[float, float]:
            control.write(scope, value)
            return control.read(scope)

        return VectorReport(commanded=value, reported=call(work, None))

    return handler


def _auto_focus(
    run: Callable[[S], None], beam: BeamPart[S], defocus: Scalar[S], call: _Call[S]
) -> Callable[[AutoFocus], OpticsReport]:
    def handler(_command: AutoFocus) -> OpticsReport:
        def work(scope: S) -> float:
            if beam.blanked(scope):
                # A vendor's automatic focus may unblank by itself, and then no time limit holds.
                raise CommandRefusedError(
                    "The beam is blanked, and the automatic focus needs it.",
                    safe="it stays blanked.",
                    next_step="unblank it first (beam.unblank).",
                )
            run(scope)
            return defocus.read(scope)

        found = call(work, _AUTO_FOCUS_LIMIT_S)
        return OpticsReport(commanded=found, reported=found)

    return handler


def _park(park: Callable[[S, tuple[float, float]], None], call: _Call[S]) -> Callable[[BeamPark], Done]:
    def handler(command: BeamPark) -> Done:
        call(lambda scope: park(scope, (command.x_fraction, command.y_fraction)), None)
        return Done()

    return handler


def _valve(switch: Callable[[S, bool], None], call: _Call[S]) -> Callable[[ColumnValve], Done]:
    def handler(command: ColumnValve) -> Done:
        call(lambda scope: switch(scope, command.open), None)
        return Done()

    return handler
