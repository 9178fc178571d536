"""Opening a JEOL microscope as an instrument."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from eucentric_core import EucentricError, Frame

from ..vendor_api import VendorInstrument, Wire, call_failed, connection_lost, import_vendor
from ._options import PyjemOptions
from ._scope import Jeol, describe

__all__ = ["open_pyjem"]

_SOURCE = "PyJEM comes from JEOL with the microscope: install it on the PC that runs TEMCenter"


@dataclass(frozen=True, slots=True)
class _Package:
    tem: Any
    detector: Any


def open_pyjem(name: str, options: PyjemOptions, sink: Callable[[Frame], None]) -> VendorInstrument[Jeol]:
    """A JEOL microscope through PyJEM; untested on hardware.

    Args:
        name: the instrument's name in every header.
        options: calibrations and limits.
        sink: receives the frames.

    Raises:
        UnsupportedError: PyJEM is not installed.
        ServiceUnavailableError: the microscope does not answer.
    """
    package = _Package(
        tem=import_vendor("PyJEM.TEM3", driver="pyjem", source=_SOURCE),
        detector=import_vendor("PyJEM.detector", driver="pyjem", source=_SOURCE),
    )
    wire = Wire(
        connect=partial(_connect, package),
        # PyJEM has no call that ends a connection.
        disconnect=lambda jeol: None,
        explain=_explain,
        recover=lambda jeol: jeol.deflectors.SetBeamBlank(1),
    )
    return VendorInstrument(
        name,
        options,
        wire=wire,
        urgent_wire=wire,
        describe=partial(describe, options=options),
        sink=sink,
    )


def _connect(package: _Package) -> Jeol:
    package.tem.connect()
    return Jeol(
        stage=package.tem.Stage3(),
        deflectors=package.tem.Def3(),
        electron_optics=package.tem.EOS3(),
        lenses=package.tem.Lens3(),
        high_tension=package.tem.HT3(),
        gun=package.tem.FEG3(),
        detectors=package.detector,
    )


def _explain(error: Exception) -> EucentricError:
    if isinstance(error, OSError):
        return connection_lost("The JEOL microscope", error)
    return call_failed("PyJEM", error)
