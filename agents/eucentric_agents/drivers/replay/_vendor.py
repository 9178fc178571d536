"""Vendors' formats (dm3, dm4, emd and others) through RosettaSciIO, an optional GPL package."""

from __future__ import annotations

import importlib
from functools import cache
from math import radians
from pathlib import Path
from typing import Any

from eucentric_core import ConfigurationError

from ._errors import refuse
from ._images import Calibration, ImageSeries, grey_series
from ._units import metres_per_unit

__all__ = ["VENDOR_SUFFIXES", "read_vendor", "vendor_suffixes"]

VENDOR_SUFFIXES = frozenset({".dm3", ".dm4", ".emd", ".hspy", ".ser", ".mrc", ".rpl", ".unf", ".img"})
"""Suffixes that are taken from a folder; a single file is tried whatever its suffix."""

_Signal = dict[str, Any]


def read_vendor(path: Path, dataset: str | None) -> ImageSeries:
    """Read the only (or chosen, or first) image signal of a vendor's file; see `read_images`."""
    signals = images = [signal for signal in _load(path) if _is_image(signal)]
    if not images:
        raise refuse(path.name, "it holds no image")
    if dataset is not None:
        signals = [signal for signal in images if _title(signal) == dataset]
    if not signals:
        titles = ", ".join(repr(_title(signal)) for signal in images[:16])
        raise refuse(path.name, f"it holds no image called {dataset!r}, only {titles}")
    # Instruments put the detector that was looked at first.
    signal = signals[0]
    images_of_file = grey_series(path.name, signal["data"])
    return ImageSeries(images_of_file, _calibration(signal), _optics(signal), stage=_stage(signal))


@cache
def vendor_suffixes() -> frozenset[str]:
    """Suffixes that some reader of RosettaSciIO knows; without it, those that it is known for."""
    try:
        rsciio = importlib.import_module("rsciio")
    except ModuleNotFoundError:
        return VENDOR_SUFFIXES
    known = {f".{suffix.lower()}" for plugin in rsciio.IO_PLUGINS for suffix in plugin["file_extensions"]}
    return VENDOR_SUFFIXES | known


def _load(path: Path) -> list[_Signal]:
    try:
        rsciio = importlib.import_module("rsciio")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{path.name} is in a vendor's format, which needs RosettaSciIO.",
            safe="nothing was replayed.",
            next_step="install it with: pip install 'eucentric[vendor-formats]'.",
        ) from error
    suffix = path.suffix.lower().removeprefix(".")
    plugins = [plugin for plugin in rsciio.IO_PLUGINS if suffix in plugin["file_extensions"]]
    if not plugins:
        raise refuse(path.name, f"no reader knows the suffix {path.suffix!r}")
    options: dict[str, Any] = {"select_type": "images"} if suffix == "emd" else {}
    try:
        signals: list[_Signal] = importlib.import_module(plugins[0]["api"]).file_reader(str(path), **options)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{path.name} needs a package that RosettaSciIO does not bring: {error.name or error}.",
            safe="nothing was replayed.",
            next_step="install that package, or save the image in another format.",
        ) from error
    return signals


def _is_image(signal: _Signal) -> bool:
    data, axes = signal["data"], signal["axes"]
    if data.ndim not in (2, 3) or len(axes) != data.ndim or data.dtype.kind not in "uifb":
        return False
    units = [axis.get("units") for axis in axes[-2:]]
    uncalibrated = data.ndim == 2 and all(unit in (None, "", "px", "pixels") for unit in units)
    return uncalibrated or all(metres_per_unit(unit) is not None for unit in units)


def _calibration(signal: _Signal) -> Calibration | None:
    y, x = signal["axes"][-2:]
    y_unit, x_unit = metres_per_unit(y.get("units")), metres_per_unit(x.get("units"))
    if y_unit is None or x_unit is None:
        return None
    return Calibration(
        float(y["scale"]) * y_unit,
        float(x["scale"]) * x_unit,
        float(y.get("offset", 0.0)) * y_unit,
        float(x.get("offset", 0.0)) * x_unit,
    )


def _title(signal: _Signal) -> str:
    return str(signal["metadata"].get("General", {}).get("title", ""))


def _optics(signal: _Signal) -> dict[str, float]:
    tem = signal["metadata"].get("Acquisition_instrument", {}).get("TEM", {})
    # HyperSpy's conventions: keV, mrad, nA.
    known = {
        "high_tension_v": (tem.get("beam_energy"), 1e3),
        "convergence_angle_rad": (tem.get("convergence_angle"), 1e-3),
        "beam_current_a": (tem.get("beam_current"), 1e-9),
    }
    return {
        name: float(value) * factor
        for name, (value, factor) in known.items()
        if isinstance(value, int | float)
    }


def _stage(signal: _Signal) -> dict[str, float]:
    stage = signal["metadata"].get("Acquisition_instrument", {}).get("TEM", {}).get("Stage", {})
    # HyperSpy's conventions: mm, degrees.
    known = {
        "x_m": (stage.get("x"), 1e-3),
        "y_m": (stage.get("y"), 1e-3),
        "z_m": (stage.get("z"), 1e-3),
        "alpha_rad": (stage.get("tilt_alpha"), radians(1)),
        "beta_rad": (stage.get("tilt_beta"), radians(1)),
    }
    return {
        name: float(value) * factor
        for name, (value, factor) in known.items()
        if isinstance(value, int | float)
    }
