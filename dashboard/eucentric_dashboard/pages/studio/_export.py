"""A class map as files: a picture, a drawing, a table, and the counts as pyCHIP gives them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image, ImageDraw

from ..._encode import encode_image, reduction, to_grey
from ..._overlay import scale_bar_svg
from ...chips import LabelClass, MappedFrame, StudioImage, colours_of

__all__ = ["counts_csv", "map_csv", "map_png", "map_svg"]


def map_csv(mapped: MappedFrame, image: StudioImage) -> bytes:
    """One line for each chip: place, class, how sure."""
    target = io.StringIO()
    writer = csv.writer(target)
    pixel_nm = None if image.pixel_size_m is None else image.pixel_size_m * 1e9
    writer.writerow(
        ["row", "column", "y_px", "x_px"]
        + ([] if pixel_nm is None else ["y_nm", "x_nm"])
        + ["class", "confidence", "typicality", "uncertainty", "nearest support chip", "distance"]
    )
    for index in range(mapped.rows * mapped.columns):
        row, column = divmod(index, mapped.columns)
        # Pixel centres have integer coordinates.
        y, x = (
            mapped.corner_px[axis] + (at + 0.5) * mapped.side_px - 0.5
            for axis, at in enumerate((row, column))
        )
        nearest = int(mapped.nearest[index, 0])
        writer.writerow(
            [row, column, y, x]
            + ([] if pixel_nm is None else [f"{y * pixel_nm:.4f}", f"{x * pixel_nm:.4f}"])
            + [
                mapped.classes[mapped.class_id[index]],
                f"{mapped.confidence[index]:.4f}",
                f"{mapped.typicality[index]:.4g}",
                f"{mapped.uncertainty[index]:.4f}",
                f"{mapped.support_labels[nearest]}: {mapped.support_places[nearest]}",
                f"{mapped.distances[index, 0]:.4f}",
            ]
        )
    return target.getvalue().encode()


def counts_csv(mapped: MappedFrame) -> bytes:
    """One line for each class: chips, share of the area and its interval, area."""
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(
        [
            "class",
            "chips",
            "area_fraction",
            "area_fraction_low",
            "area_fraction_high",
            "area_nm2",
            "confidence",
        ]
    )
    for share in mapped.shares:
        writer.writerow(
            [
                share.name,
                share.chips,
                f"{share.area_fraction:.5f}",
                f"{share.area_fraction_low:.5f}",
                f"{share.area_fraction_high:.5f}",
                "" if share.area_nm2 is None else f"{share.area_nm2:.4f}",
                "" if share.mean_confidence is None else f"{share.mean_confidence:.4f}",
            ]
        )
    return target.getvalue().encode()


def map_png(
    mapped: MappedFrame, image: StudioImage, classes: Sequence[LabelClass], *, opacity: float = 0.5
) -> bytes:
    """The map over the image, in the image's pixels unless that is very large; a legend below it."""
    factor = reduction(image.shape_px)
    grey = Image.fromarray(to_grey(image.array)).convert("RGBA")
    layer = Image.new("RGBA", grey.size)
    pen = ImageDraw.Draw(layer)
    colours = colours_of(mapped.classes, classes)
    for index, class_id in enumerate(mapped.class_id):
        row, column = divmod(index, mapped.columns)
        top, left = (
            (mapped.corner_px[axis] + at * mapped.side_px) / factor for axis, at in enumerate((row, column))
        )
        side = mapped.side_px / factor
        pen.rectangle(
            (round(left), round(top), round(left + side) - 1, round(top + side) - 1),
            fill=(*_rgb(colours[class_id]), round(255 * opacity)),
        )
    drawn = Image.alpha_composite(grey, layer).convert("RGB")
    line = 20
    sheet = Image.new("RGB", (drawn.width, drawn.height + line * len(mapped.classes) + 8), "#ffffff")
    sheet.paste(drawn, (0, 0))
    pen = ImageDraw.Draw(sheet)
    for index, share in enumerate(mapped.shares):
        y = drawn.height + 6 + index * line
        pen.rectangle((6, y, 20, y + 14), fill=colours[index], outline="#000000")
        pen.text((28, y + 1), f"{share.name}: {share.area_fraction:.1%}", fill="#000000")
    target = io.BytesIO()
    sheet.save(target, "PNG")
    return target.getvalue()


def map_svg(
    mapped: MappedFrame, image: StudioImage, classes: Sequence[LabelClass], *, opacity: float = 0.5
) -> bytes:
    """The map over the image as a drawing: each chip a square with its class as its title."""
    from base64 import b64encode

    factor = reduction(image.shape_px)
    height, width = (side // factor for side in image.shape_px)
    colours = colours_of(mapped.classes, classes)
    side = mapped.side_px / factor
    groups = []
    for class_id, name in enumerate(mapped.classes):
        (own,) = np.nonzero(mapped.class_id == class_id)
        squares = "".join(
            f'<rect x="{(mapped.corner_px[1] + index % mapped.columns * mapped.side_px) / factor:g}" '
            f'y="{(mapped.corner_px[0] + index // mapped.columns * mapped.side_px) / factor:g}" '
            f'width="{side:g}" height="{side:g}"/>'
            for index in own.tolist()
        )
        groups.append(f'<g fill="{colours[class_id]}"><title>{escape(name)}</title>{squares}</g>')
    legend = "".join(
        f'<rect x="6" y="{height + 6 + 20 * i}" width="14" height="14" fill="{colours[i]}" stroke="#000"/>'
        f'<text x="28" y="{height + 18 + 20 * i}" font-family="sans-serif" font-size="13">'
        f"{escape(share.name)}: {share.area_fraction:.1%}</text>"
        for i, share in enumerate(mapped.shares)
    )
    bar = ""
    if image.pixel_size_m is not None:
        bar = scale_bar_svg(pixel_size_m=image.pixel_size_m, width_px=width, height_px=height, factor=factor)
    picture = b64encode(encode_image(image.array)).decode()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
        f'height="{height + 20 * len(mapped.classes) + 8}">'
        f'<image href="data:image/jpeg;base64,{picture}" width="{width}" height="{height}"/>'
        f'<g opacity="{opacity:g}">{"".join(groups)}</g>{bar}{legend}</svg>'
    ).encode()


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
