"""Results drawn over the images they belong to. Needs Pillow."""

from __future__ import annotations

from ._canvas import Canvas, scale_bar_m
from ._draw import draw_result

__all__ = ["Canvas", "draw_result", "scale_bar_m"]
