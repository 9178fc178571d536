"""What there is to see of one image: its chips or cells, a figure for each, and what a click tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from ..._palette import colour_of
from ..._picture import Picture
from ...chips import (
    Grid,
    LabelClass,
    MapLayer,
    MappedFrame,
    Place,
    StudioImage,
    answer_layer,
    awaits_map,
    colours_of,
)
from ._colour_scale import STEPS, colour_scale

__all__ = ["LAYERS", "MapView", "PickedChip", "view_of_answer", "view_of_mapped"]

LAYERS: Mapping[str, str] = MappingProxyType(
    {
        "Prediction": "what each place is",
        "Confidence": "how sure that is, from 0 (dark) to 1 (bright)",
        "Out of distribution": "how unlike everything the model knows, from 0 (dark) to 1 (bright)",
        "Uncertainty": "how far it depends on chance in the model, from 0 (dark) to 0.5 (bright)",
    }
)
"""Layers and what they show."""

_CELL_SHARE = 16
"""Cells along the shorter side, where the model answers with places and not with chips."""


@dataclass(frozen=True)
class PickedChip:
    """What a click tells.

    Attributes:
        place: row and column.
        facts: name and value, for people.
        nearest: label, origin, distance and index of the nearest support chips.
    """

    place: Place
    facts: tuple[tuple[str, str], ...]
    nearest: tuple[tuple[str, str, float, int], ...] = ()


@dataclass(frozen=True)
class MapView:
    """An image with its maps.

    Attributes:
        image: below the maps.
        grid: of chips or cells.
        layers: by name; those that the model says nothing about are left out.
        legend: names and colours of the prediction.
        source: whose answer it is, for people.
        mapped: of a support set; None for the edge's answer.
        figures: name and (n,) values, row by row.
        labels: what each place is.
    """

    image: StudioImage
    grid: Grid
    layers: Mapping[str, MapLayer]
    legend: tuple[tuple[str, str], ...]
    source: str
    figures: Mapping[str, npt.NDArray[np.floating]]
    labels: tuple[str, ...]
    mapped: MappedFrame | None = None

    def picked(self, place: Place) -> PickedChip:
        """What is known of a place."""
        index = place[0] * self.grid.columns + place[1]
        facts = [("Place", f"row {place[0] + 1}, column {place[1] + 1}"), ("Class", self.labels[index])]
        facts += [(name, f"{values[index]:.3g}") for name, values in self.figures.items()]
        nearest: tuple[tuple[str, str, float, int], ...] = ()
        mapped = self.mapped
        if mapped is not None:
            nearest = tuple(
                (mapped.support_labels[which], mapped.support_places[which], float(far), int(which))
                for which, far in zip(mapped.nearest[index], mapped.distances[index], strict=True)
            )
        return PickedChip(place, tuple(facts), nearest)


def view_of_mapped(
    image: StudioImage, mapped: MappedFrame, classes: Sequence[LabelClass], source: str
) -> MapView:
    """Maps by a support set."""
    top, left = mapped.corner_px
    grid = Grid(image.shape_px, mapped.side_px, (top, left), image.pixel_size_m)
    unlike = 1 - np.clip(mapped.typicality, 0, 1)
    layers = {
        "Prediction": MapLayer.of_classes(mapped, classes),
        "Confidence": _scaled("confidence", mapped.confidence, grid, mapped.digest),
        "Out of distribution": _scaled("unlike", unlike, grid, mapped.digest),
        "Uncertainty": _scaled("uncertainty", 2 * mapped.uncertainty, grid, mapped.digest),
    }
    figures = {
        "Confidence": mapped.confidence,
        "Out of distribution": unlike,
        "Uncertainty": mapped.uncertainty,
    }
    legend = tuple(zip(mapped.classes, colours_of(mapped.classes, classes), strict=True))
    labels = tuple(mapped.classes[index] for index in mapped.class_id)
    return MapView(image, grid, layers, legend, source, figures, labels, mapped)


def view_of_answer(picture: Picture) -> MapView | None:
    """Maps of the edge's answer to a live frame: by chips where it sent some, else by cells of the image.

    None while there is no answer.
    """
    if picture.answer is None or picture.rows is None:
        return None
    image = StudioImage.of_frame(picture.frame, live=True)
    header = picture.answer
    source = f"{header.model_name} v{header.model_version} at the edge"
    chips = answer_layer(picture, ())
    if chips is not None:
        layer = chips.layer
        confidence = np.clip(picture.rows[:, 3], 0, 1)
        layers = {
            "Prediction": layer,
            "Confidence": _scaled("confidence", confidence, chips.grid, layer.version),
        }
        legend = tuple(zip(layer.names, layer.colours, strict=True))
        labels = tuple(layer.names[index] for index in layer.ids)
        return MapView(image, chips.grid, layers, legend, source, {"Confidence": confidence}, labels)
    if awaits_map(picture):
        return None
    return _cells(image, picture, header.classes, source)


def _cells(image: StudioImage, picture: Picture, classes: tuple[str, ...], source: str) -> MapView:
    """Cells of the image: the commonest class of what lies in them, and the means of its figures."""
    rows = picture.rows
    places = np.zeros((0, 4), np.float32) if rows is None else rows
    grid = Grid.of(image.shape_px, image.pixel_size_m, side_px=max(8, min(image.shape_px) // _CELL_SHARE))
    count = grid.rows * grid.columns
    row = (places[:, 0] // grid.side_px).astype(int)
    column = (places[:, 1] // grid.side_px).astype(int)
    inside = (row < grid.rows) & (column < grid.columns)
    cell = (row * grid.columns + column)[inside]
    found = places[inside]
    votes = np.zeros((count, max(1, len(classes))))
    np.add.at(votes, (cell, found[:, 2].astype(int)), 1)
    total = votes.sum(axis=1)
    ids = np.where(total > 0, votes.argmax(axis=1), -1)
    confidence = np.bincount(cell, found[:, 3], count) / np.maximum(total, 1)
    version = f"{picture.version}-{picture.answer.model_version if picture.answer else 0}"
    colours = tuple(colour_of(index) for index in range(len(classes)))
    layers = {
        "Prediction": _layer(version, grid, ids, np.where(total > 0, 0.9, 0.0), colours, classes),
        "Confidence": _scaled("confidence", confidence, grid, version, shown=total > 0),
    }
    figures: dict[str, npt.NDArray[np.floating]] = {"Found here": total, "Confidence": confidence}
    if picture.deviation is not None and picture.deviation.shape == image.shape_px:
        side = grid.side_px
        blocks = picture.deviation[: grid.rows * side, : grid.columns * side].astype(np.float32)
        spread = blocks.reshape(grid.rows, side, grid.columns, side).mean(axis=(1, 3)).ravel()
        figures["Uncertainty"] = spread
        layers["Uncertainty"] = _scaled("uncertainty", 2 * spread, grid, version)
    labels = tuple(classes[index] if index >= 0 else "nothing found" for index in ids)
    return MapView(image, grid, layers, tuple(zip(classes, colours, strict=True)), source, figures, labels)


def _scaled(
    name: str,
    values: npt.NDArray[np.floating],
    grid: Grid,
    version: str,
    *,
    shown: npt.NDArray[np.bool_] | None = None,
) -> MapLayer:
    steps = np.rint(np.clip(values, 0, 1) * (STEPS - 1)).astype(int)
    if shown is not None:
        steps = np.where(shown, steps, -1)
    colours = colour_scale()
    return _layer(f"{version}-{name}", grid, steps, np.ones(len(steps)), colours, ("",) * len(colours))


def _layer(
    version: str,
    grid: Grid,
    ids: npt.NDArray[np.integer],
    strengths: npt.NDArray[np.floating],
    colours: tuple[str, ...],
    names: tuple[str, ...],
) -> MapLayer:
    return MapLayer(version, grid.side_px, grid.offset_px, grid.columns, ids, strengths, colours, names)
