"""Chips of an image as pages show them: grid, classes, image, map, and the element that draws them all."""

from __future__ import annotations

from ._answer_layer import AnswerLayer, answer_layer, awaits_map, chip_grid
from ._canvas import ChipCanvas
from ._classes import (
    CLASS_PALETTE,
    MOST_CLASSES,
    NONE_COLOUR,
    LabelClass,
    checked_name,
    first_classes,
)
from ._computation import ClassCheck, MappedFrame, MapRequest, ShareOfClass, map_frame
from ._errors import ImageUnreadableError, LabelError, MappingError
from ._grid import SMALLEST_CHIP_PX, Grid, Place
from ._image import StudioImage, checked_image
from ._map_layer import MapLayer, colours_of
from ._mapper import MAP_TIMEOUT_S, Mapper, missing_packages, shared_mapper
from ._pictures import data_url
from ._sessions import SessionImages, frame_of_session, image_of_origin, newest_sessions
from ._style import CHIP_STYLE
from ._upload import MAX_UPLOAD_BYTES, READABLE, read_upload

__all__ = [
    "CHIP_STYLE",
    "CLASS_PALETTE",
    "MAP_TIMEOUT_S",
    "MAX_UPLOAD_BYTES",
    "MOST_CLASSES",
    "NONE_COLOUR",
    "READABLE",
    "SMALLEST_CHIP_PX",
    "AnswerLayer",
    "ChipCanvas",
    "ClassCheck",
    "Grid",
    "ImageUnreadableError",
    "LabelClass",
    "LabelError",
    "MapLayer",
    "MapRequest",
    "MappedFrame",
    "Mapper",
    "MappingError",
    "Place",
    "SessionImages",
    "ShareOfClass",
    "StudioImage",
    "answer_layer",
    "awaits_map",
    "checked_image",
    "checked_name",
    "chip_grid",
    "colours_of",
    "data_url",
    "first_classes",
    "frame_of_session",
    "image_of_origin",
    "map_frame",
    "missing_packages",
    "newest_sessions",
    "read_upload",
    "shared_mapper",
]
