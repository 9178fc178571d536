"""Opening AutoScript TEM as an instrument."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from eucentric_core import EucentricError, Frame

from ..vendor_api import VendorInstrument, Wire, call_failed, connection_lost, import_vendor
from ._options import AutoscriptOptions
from ._scope import Vendor, describe

__all__ = ["open_autoscript"]

_SOURCE = "AutoScript TEM comes from Thermo Fisher Scientific with a licence: install its client on this PC"
_PACKAGE = "autoscript_tem_microscope_client"


def open_autoscript(
    name: str, options: AutoscriptOptions, sink: Callable[[Frame], None]
) -> VendorInstrument[Any]:
    """A Thermo Fisher microscope through AutoScript TEM; untested on hardware.

    Args:
        name: the instrument's name in every header.
        options: where the server is, and which frames there are.
        sink: receives the frames.

    Raises:
        UnsupportedError: AutoScript's client is not installed.
        ServiceUnavailableError: its server does not answer.
    """
    client = import_vendor(_PACKAGE, driver="autoscript", source=_SOURCE)
    structures = import_vendor(f"{_PACKAGE}.structures", driver="autoscript", source=_SOURCE)
    wire = Wire(
        connect=partial(_connect, client.TemMicroscopeClient, options),
        disconnect=lambda microscope: microscope.disconnect(),
        explain=_explain,
        recover=lambda microscope: microscope.optics.blanker.blank(),
    )
    vendor = Vendor(
        stage_position=structures.StagePosition, focus_settings=structures.RunStemAutoFocusSettings
    )
    return VendorInstrument(
        name,
        options,
        wire=wire,
        urgent_wire=wire,
        describe=partial(describe, vendor=vendor, options=options),
        sink=sink,
    )


def _connect(client: Callable[[], Any], options: AutoscriptOptions) -> Any:
    microscope = client()
    if options.host is None:
        microscope.connect()
    elif options.port is None:
        microscope.connect(options.host)
    else:
        microscope.connect(options.host, options.port)
    return microscope


def _explain(error: Exception) -> EucentricError:
    if isinstance(error, OSError):
        return connection_lost("AutoScript's server", error)
    return call_failed("AutoScript", error)
