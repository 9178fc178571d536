"""Axes that are certain: confirmed from a file and what was said about it, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType

from eucentric_core import Axis

from ..vendor_files import VendorAxis, VendorSignal, si_unit
from ._errors import uncalibrated
from ._kinds import Layout, Role
from ._options import ImportOptions

__all__ = ["calibrated_axes"]

_SAME = 0.01
"""Pixel sizes along y and x that differ by less are one: files round them."""

_BELIEVABLE: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"m": (1e-13, 1e-2), "1/m": (1e3, 1e13), "rad": (1e-9, 0.5), "eV": (1e-5, 1e4)}
)
_GIVE_PIXEL = "give it: --pixel-size-pm SIZE (from the microscope's calibration)."
_GIVE_ENERGY = "give both: --energy-dispersion-ev 0.25 --energy-offset-ev 350."


def calibrated_axes(
    name: str, signal: VendorSignal, layout: Layout, options: ImportOptions
) -> tuple[Axis, ...]:
    """The axes of a frame in SI.

    Raises:
        UncalibratedError: a scale is absent, zero, negative, not finite, not believable, or differs along y
            and x without a reason.
    """
    axes = tuple(
        _axis(name, role, signal.axes[dimension], options)
        for role, dimension in zip(layout.roles, layout.dimensions, strict=True)
    )
    for first, second in (("y", "x"), ("ky", "kx"), ("detector_y", "detector_x")):
        pair = [axis for axis in axes if axis.name in (first, second)]
        if len(pair) == 2:
            _require_alike(name, pair[0], pair[1], anisotropic=options.anisotropic)
    return axes


def _axis(name: str, role: Role, axis: VendorAxis, options: ImportOptions) -> Axis:
    if role in ("y", "x") and options.pixel_size_pm is not None:
        return Axis(name=role, unit="m", scale=options.pixel_size_pm * 1e-12)
    if role == "energy" and options.energy_dispersion_ev is not None:
        return _given_energy(name, axis, options)
    unit = si_unit(axis.unit)
    label = {"energy": "energy", "ky": "detector y", "kx": "detector x"}.get(role, role)
    hint = _GIVE_ENERGY if role == "energy" else _GIVE_PIXEL
    if unit is None:
        raise uncalibrated(name, f"it gives no unit along {label}", hint)
    scale, offset = axis.scale * unit.factor, axis.offset * unit.factor
    if not (isfinite(scale) and isfinite(offset)):
        raise uncalibrated(name, f"it gives no finite scale along {label}", hint)
    if scale <= 0:
        raise uncalibrated(name, f"its scale along {label} is {axis.scale:g} {axis.unit}", hint)
    low, high = _BELIEVABLE[unit.symbol]
    if not low <= scale <= high:
        raise uncalibrated(
            name, f"{axis.scale:g} {axis.unit} along {label} is not believable: the unit may be wrong", hint
        )
    named = f"detector_{role[1]}" if role in ("ky", "kx") and unit.symbol == "m" else role
    return Axis(name=named, unit=unit.symbol, scale=scale, offset=offset)


def _given_energy(name: str, axis: VendorAxis, options: ImportOptions) -> Axis:
    if options.energy_dispersion_ev is None or options.energy_offset_ev is None:
        raise uncalibrated(
            name, "a dispersion was given, but not the energy of the first channel", _GIVE_ENERGY
        )
    return Axis(name="energy", unit="eV", scale=options.energy_dispersion_ev, offset=options.energy_offset_ev)


def _require_alike(name: str, y: Axis, x: Axis, *, anisotropic: bool) -> None:
    if y.unit != x.unit:
        raise uncalibrated(name, f"one axis is in {y.unit}, the other in {x.unit}", _GIVE_PIXEL)
    if not anisotropic and abs(y.scale - x.scale) > _SAME * max(y.scale, x.scale):
        raise uncalibrated(
            name,
            f"its scales along y and x contradict each other ({y.scale:.4g} and {x.scale:.4g} {y.unit})",
            "give the true one (--pixel-size-pm SIZE, from the microscope's calibration), "
            "or say that they do differ (--anisotropic).",
        )
