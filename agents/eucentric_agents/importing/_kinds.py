"""What a signal is: which of its dimensions are image, scan, spectrum and series. Pure decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..vendor_files import VendorAxis, VendorSignal, says_no_unit, si_unit
from ._errors import refuse, uncalibrated

__all__ = ["Kind", "Layout", "Role", "layout_of"]

Kind = Literal["image", "spectrum", "spectrum image", "diffraction", "scanned diffraction", "profile"]
Role = Literal["y", "x", "energy", "ky", "kx"]
_Quantity = Literal["length", "inverse", "energy", "time", "none", "unknown"]

_QUANTITY: dict[str, _Quantity] = {
    "m": "length", "1/m": "inverse", "rad": "inverse", "eV": "energy", "s": "time",
}  # fmt: skip
_SPECTRA = ("EELS", "EDS", "CL", "XPS", "EDS_TEM", "EDS_SEM")
_GIVE_IT = (
    "give the pixel size (--pixel-size-pm), or the energy (--energy-dispersion-ev, --energy-offset-ev)."
)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a signal becomes frames.

    Attributes:
        kind: what it is.
        roles: of the dimensions of a frame, in their order in a frame.
        dimensions: the array's dimensions that they are.
        series: the array's dimension whose every point is a frame of its own; None if there is one frame.
    """

    kind: Kind
    roles: tuple[Role, ...]
    dimensions: tuple[int, ...]
    series: int | None


def layout_of(name: str, signal: VendorSignal, *, energy_given: bool, pixel_size_given: bool) -> Layout:
    """Find out what a signal is from the units of its axes and the kind that its file names.

    Args:
        name: what to call it in errors.
        signal: of a file.
        energy_given: somebody says how wide a channel is: an axis without a unit may be an energy.
        pixel_size_given: somebody says how large a pixel is: axes without a unit may be lengths.

    Raises:
        UncalibratedError: it depends on units that the file does not give, or that nobody knows.
        DataFormatError: it is nothing that can be frames.
    """
    count = signal.data.ndim
    if not 1 <= count <= 4:
        raise refuse(name, f"it has {count} dimensions", "import data of one to four dimensions.")
    found = [_quantity(axis) for axis in signal.axes]
    strange = [axis.unit for axis, quantity in zip(signal.axes, found, strict=True) if quantity == "unknown"]
    if strange:
        raise uncalibrated(name, f"nobody knows the unit {strange[0]!r} of an axis", _GIVE_IT)
    if found.count("energy") > 1:
        raise refuse(name, "it has two axes of energy", "import one- or three-dimensional spectra.")
    spectral = _spectral_dimension(signal, found, energy_given=energy_given)
    if spectral is not None:
        return _spectra(name, found, spectral)
    detector = _detector_dimensions(signal, found)
    if detector is not None:
        return _diffraction(name, found, detector, pixel_size_given=pixel_size_given)
    return _images(name, found, pixel_size_given=pixel_size_given)


def _quantity(axis: VendorAxis) -> _Quantity:
    unit = si_unit(axis.unit)
    if unit is not None:
        return _QUANTITY[unit.symbol]
    return "none" if says_no_unit(axis.unit) else "unknown"


def _spectral_dimension(signal: VendorSignal, found: list[_Quantity], *, energy_given: bool) -> int | None:
    if "energy" in found:
        return found.index("energy")
    bare = [index for index, quantity in enumerate(found) if quantity == "none"]
    if not bare or not (energy_given or signal.signal_type in _SPECTRA):
        return None
    # The last one without a unit, if readers agree that it is not scanned.
    measured = [index for index in bare if not signal.axes[index].navigate] or bare
    return measured[-1] if len(found) == 1 or signal.signal_type in _SPECTRA else None


def _detector_dimensions(signal: VendorSignal, found: list[_Quantity]) -> tuple[int, int] | None:
    inverse = [index for index, quantity in enumerate(found) if quantity == "inverse"]
    if len(inverse) == 2:
        return inverse[0], inverse[1]
    last = (len(found) - 2, len(found) - 1)
    is_diffraction = "diffraction" in signal.signal_type.lower() and len(found) >= 2
    return last if not inverse and (is_diffraction or len(found) == 4) else None


def _spectra(name: str, found: list[_Quantity], spectral: int) -> Layout:
    others = [index for index in range(len(found)) if index != spectral]
    scanned = [index for index in others if found[index] == "length"]
    series = [index for index in others if found[index] != "length"]
    if len(series) == 2 and not scanned:
        scanned, series = series, []  # a scan whose steps are to be said
    if len(series) > 1 or len(scanned) > 2:
        raise refuse(name, "it is no spectrum, line, map or series of them", "split it into such parts.")
    scan: tuple[tuple[Role, ...], ...] = ((), ("x",), ("y", "x"))
    return Layout(
        "spectrum image" if scanned else "spectrum",
        (*scan[len(scanned)], "energy"),
        (*scanned, spectral),
        series[0] if series else None,
    )


def _diffraction(
    name: str, found: list[_Quantity], detector: tuple[int, int], *, pixel_size_given: bool
) -> Layout:
    others = [index for index in range(len(found)) if index not in detector]
    lengths = [index for index in others if found[index] == "length"]
    if len(others) == 2 and (len(lengths) == 2 or (not lengths and pixel_size_given)):
        return Layout("scanned diffraction", ("y", "x", "ky", "kx"), (*others, *detector), None)
    if len(others) == 1 and lengths:
        return Layout("scanned diffraction", ("x", "ky", "kx"), (*others, *detector), None)
    if len(others) <= 1:
        return Layout("diffraction", ("ky", "kx"), detector, others[0] if others else None)
    raise uncalibrated(name, "it does not say how far the points of the scan are apart", _GIVE_IT)


def _images(name: str, found: list[_Quantity], *, pixel_size_given: bool) -> Layout:
    lengths = [index for index, quantity in enumerate(found) if quantity == "length"]
    if len(found) == 1:
        if lengths or (found == ["none"] and pixel_size_given):
            return Layout("profile", ("x",), (0,), None)
        raise uncalibrated(name, "it does not say in which unit its one axis is", _GIVE_IT)
    if len(found) > 3:
        raise refuse(name, "it is a series of series", "split it into images, or into one series.")
    # Three lengths are a series through the volume. Without units, the order is the reader's.
    pair = lengths[-2:] if len(lengths) >= 2 else [len(found) - 2, len(found) - 1]
    if len(lengths) < 2 and not (pixel_size_given and set(lengths) <= set(pair)):
        raise uncalibrated(
            name,
            "it does not say how large a pixel is",
            "give it: --pixel-size-pm SIZE (from the microscope's calibration).",
        )
    series = [index for index in range(len(found)) if index not in pair]
    return Layout("image", ("y", "x"), (pair[0], pair[1]), series[0] if series else None)
