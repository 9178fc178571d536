"""What can be chosen about AutoScript TEM, which itself speaks metres, seconds and radians."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from ..vendor_api import VendorOptions

__all__ = ["AutoscriptOptions"]

_Side = Annotated[int, Field(ge=16, le=16384)]


class AutoscriptOptions(VendorOptions):
    """Options of the driver `autoscript`.

    Attributes:
        host: where AutoScript's server runs; None: this machine.
        port: its port; None: AutoScript's own.
        frame_sizes_px: sides of the square frames that the instrument scans.
        camera_frames_px: for each camera to be used, the side of its unbinned frame.
        focus_dwell_time_s: dwell time of the automatic focus.
        focus_frame_px: side of its frames.
    """

    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    frame_sizes_px: Annotated[tuple[_Side, ...], Field(min_length=1, max_length=20)] = (
        256,
        512,
        1024,
        2048,
        4096,
    )
    camera_frames_px: Annotated[Mapping[str, _Side], Field(max_length=20)] = {}
    focus_dwell_time_s: Annotated[float, Field(ge=1e-8, le=1e-2)] = 2e-6
    focus_frame_px: _Side = 512
