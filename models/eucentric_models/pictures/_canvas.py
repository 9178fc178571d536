"""A grey image to draw on, in the coordinates of its pixels, with a caption, a scale bar and a legend."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..preprocessing import check_frame

__all__ = ["COLOURS", "Canvas", "scale_bar_m"]

# Okabe and Ito's palette, told apart with every kind of colour vision, in the order of the dashboard.
COLOURS = ("#56b4e9", "#e69f00", "#cc79a7", "#009e73", "#f0e442", "#d55e00", "#0072b2", "#ffffff")

_SMALLEST_SIDE, _LARGEST_SIDE = 768, 2048
_BAND_PX, _TEXT_PX = 30, 18
_UNITS = ((1e-6, "µm"), (1e-9, "nm"), (1e-12, "pm"))


def scale_bar_m(field_m: float) -> float:
    """The length 1, 2 or 5 times a power of ten that is nearest below a quarter of the field (m)."""
    wanted_m = field_m / 4
    decade = 10.0 ** floor(log10(wanted_m))
    return max(step * decade for step in (1, 2, 5) if step * decade <= wanted_m * (1 + 1e-9))


class Canvas:
    """An image enlarged or reduced to a size that people can look at.

    Args:
        image: (ny, nx) raw values, finite and real; shown between its 1st and 99.5th percentile.
    """

    def __init__(self, image: NDArray[np.generic]) -> None:
        grey = check_frame(image)
        low, high = np.percentile(grey, [1, 99.5])
        spread = np.clip((grey - low) / max(high - low, 1e-12), 0, 1)
        ny, nx = grey.shape
        factor = max(1, round(_SMALLEST_SIDE / max(ny, nx)))
        self.zoom = float(factor) if factor > 1 else min(1.0, _LARGEST_SIDE / max(ny, nx))
        size = (max(1, round(nx * self.zoom)), max(1, round(ny * self.zoom)))
        shown = Image.fromarray((spread * 255).astype(np.uint8)).resize(
            size, Image.Resampling.NEAREST if self.zoom >= 1 else Image.Resampling.BOX
        )
        self.picture = shown.convert("RGB")
        self._field_px = nx
        self._font = ImageFont.load_default(_TEXT_PX)

    def at(self, y_px: float, x_px: float) -> tuple[float, float]:
        """Where the image's point lies in the picture, `(x, y)` as Pillow wants it."""
        return (x_px + 0.5) * self.zoom, (y_px + 0.5) * self.zoom

    def ring(self, y_px: float, x_px: float, radius_px: float, colour: str) -> None:
        """A circle around a point of the image; its radius is in pixels of the image."""
        x, y = self.at(y_px, x_px)
        radius = max(radius_px * self.zoom, 2.5)
        width = 2 if radius > 5 else 1
        ImageDraw.Draw(self.picture).ellipse(
            (x - radius, y - radius, x + radius, y + radius), outline=colour, width=width
        )

    def tint(self, chips: Sequence[tuple[tuple[float, float, float, float], str, float]]) -> None:
        """Colour rectangles `((top, left, bottom, right) px, colour, opacity)` of the image at once."""
        layer = Image.new("RGBA", self.picture.size, (0, 0, 0, 0))
        pen = ImageDraw.Draw(layer)
        for (top, left, bottom, right), colour, opacity in chips:
            corners = (left * self.zoom, top * self.zoom, right * self.zoom - 1, bottom * self.zoom - 1)
            red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
            alpha = int(255 * min(max(opacity, 0.0), 1.0))
            pen.rectangle(corners, fill=(red, green, blue, alpha), outline=(red, green, blue, 160))
        self.picture = Image.alpha_composite(self.picture.convert("RGBA"), layer).convert("RGB")

    def scale_bar(self, pixel_size_m: float) -> None:
        """Draw a bar of round length into the lower left corner."""
        bar_m = scale_bar_m(self._field_px * pixel_size_m)
        unit_m, unit = next(((m, name) for m, name in _UNITS if bar_m >= m), _UNITS[-1])
        length = bar_m / pixel_size_m * self.zoom
        left, bottom = 16.0, self.picture.height - 16.0
        pen = ImageDraw.Draw(self.picture)
        text = f"{bar_m / unit_m:g} {unit}"
        width = max(length, pen.textlength(text, self._font))
        pen.rectangle((left - 6, bottom - 34, left + width + 6, bottom + 6), fill="black")
        pen.rectangle((left, bottom - 6, left + length, bottom), fill="white")
        pen.text((left, bottom - 31), text, fill="white", font=self._font)

    def framed(self, caption: str, legend: Sequence[tuple[str, str]] = ()) -> Image.Image:
        """The picture with a line above it and, if there is one, a legend `(text, colour)` below.

        The caption is cut where it is wider than the picture.
        """
        rows = self._rows(legend)
        width, height = self.picture.size
        framed = Image.new("RGB", (width, height + _BAND_PX * (1 + len(rows))), "#101010")
        framed.paste(self.picture, (0, _BAND_PX))
        pen = ImageDraw.Draw(framed)
        while caption and pen.textlength(caption, self._font) > width - 16:
            caption = caption[:-2].rstrip() + "…" if len(caption) > 2 else ""
        pen.text((8, 5), caption, fill="white", font=self._font)
        for row, entries in enumerate(rows):
            x, y = 8.0, _BAND_PX + height + row * _BAND_PX + 5.0
            for text, colour in entries:
                pen.ellipse((x, y + 4, x + 12, y + 16), outline=colour, fill=colour)
                pen.text((x + 18, y), text, fill="white", font=self._font)
                x += self._entry_width(text)
        return framed

    def _rows(self, legend: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
        rows: list[list[tuple[str, str]]] = []
        used = float("inf")
        for text, colour in legend:
            wanted = self._entry_width(text)
            if used + wanted > self.picture.width:
                rows.append([])
                used = 8.0
            rows[-1].append((text, colour))
            used += wanted
        return rows

    def _entry_width(self, text: str) -> float:
        return ImageDraw.Draw(self.picture).textlength(text, self._font) + 40.0
