"""Opening a temscript server as an instrument."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from typing import Any

from eucentric_core import EucentricError, Frame

from ..vendor_api import URGENT_LIMIT_S, VendorInstrument, Wire, call_failed, connection_lost, import_vendor
from ._options import TemscriptOptions
from ._scope import describe
from ._server import NullServer

__all__ = ["open_temscript"]

_SOURCE = "install it with: pip install 'eucentric[temscript]'"


def open_temscript(
    name: str, options: TemscriptOptions, sink: Callable[[Frame], None]
) -> VendorInstrument[Any]:
    """A microscope behind a temscript server, or temscript's null microscope.

    Args:
        name: the instrument's name in every header.
        options: which server, and the calibrations.
        sink: receives the frames.

    Raises:
        UnsupportedError: temscript is not installed.
        ConfigurationError: a calibration that is needed is missing.
        ServiceUnavailableError: the server does not answer.
    """
    temscript = import_vendor("temscript", driver="temscript", source=_SOURCE)
    server = NullServer() if options.simulated else None
    address = options.address if server is None else server.address
    reach = partial(_wire, temscript.RemoteMicroscope)
    return VendorInstrument(
        name,
        options,
        wire=reach(str(address), options.call_timeout_s + 2 * options.longest_acquisition_s),
        urgent_wire=reach(options.urgent_address or str(address), URGENT_LIMIT_S),
        describe=partial(describe, options=options),
        sink=sink,
        release=(lambda: None) if server is None else server.stop,
    )


def _wire(client: Callable[..., Any], address: str, timeout_s: float) -> Wire[Any]:
    host, _, port = address.rpartition(":")
    return Wire(
        # JSON: the other transport unpickles what the server sends.
        connect=lambda: client((host, int(port)), transport="JSON", timeout=timeout_s),
        disconnect=_disconnect,
        explain=partial(_explain, address),
        recover=lambda microscope: microscope.set_beam_blanked(True),
    )


def _disconnect(microscope: Any) -> None:
    # temscript offers no way to close its connection, and has dropped it itself after a time-out.
    connection = microscope._conn
    if connection is not None:
        connection.close()


def _explain(address: str, error: Exception) -> EucentricError:
    # After a time-out temscript has no connection object, which its next call trips over.
    if isinstance(error, OSError | HTTPException | AttributeError):
        return connection_lost(f"The temscript server at {address}", error)
    return call_failed("temscript", error)
