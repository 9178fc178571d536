"""A stand-in of `autoscript_tem_microscope_client.structures`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class StagePosition:
    """Metres and radians; None leaves an axis where it is."""

    x: float | None = None
    y: float | None = None
    z: float | None = None
    a: float | None = None
    b: float | None = None


@dataclass
class Point:
    """Two coordinates."""

    x: float
    y: float


@dataclass
class RunStemAutoFocusSettings:
    """Settings of the automatic focus."""

    scanning_detector: str
    size: int
    dwell_time: float


@dataclass
class AdornedImage:
    """An image."""

    data: Any
