"""What the edge says about one frame."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ._frame import StreamHeader
from ._model import Identifier

__all__ = ["DETECTION_COLUMNS", "ResultHeader"]

DETECTION_COLUMNS = ("y_px", "x_px", "class_id", "confidence")
"""Columns of a `detections` array, float32, shape `(n, 4)`; class ids index `ResultHeader.classes`."""


class ResultHeader(StreamHeader):
    """Header of a stream computed from a frame; it keeps the frame's session and sequence number.

    Streams: `detections` (rows of `DETECTION_COLUMNS`) and `uncertainty` (float16, `(ny, nx)`,
    pixel-wise standard deviation of the ensemble's probabilities, 0 to 1).
    """

    schema_version: Literal[1] = 1
    kind: Literal["result"] = "result"
    source_stream: str
    model_name: Identifier
    model_version: Annotated[int, Field(ge=1)]
    classes: tuple[str, ...]
    pixel_size_m: Annotated[float, Field(gt=0)]
    mean_uncertainty: Annotated[float, Field(ge=0, le=1)]
    mean_entropy_nats: Annotated[float, Field(ge=0)]
    drift_score: Annotated[float, Field(ge=0)]
    latency_s: Annotated[float, Field(ge=0)]
