"""What the edge says about one frame."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ._frame import StreamHeader
from ._model import Identifier
from ._second_version import SecondVersion

__all__ = ["DETECTION_COLUMNS", "ResultHeader"]

DETECTION_COLUMNS = ("y_px", "x_px", "class_id", "confidence")
"""Columns of a `detections` array, float32, shape `(n, 4)`; class ids index `ResultHeader.classes`."""


class ResultHeader(SecondVersion, StreamHeader):
    """Header of a stream computed from a frame; it keeps the frame's session and sequence number.

    Streams: `detections` (rows of `DETECTION_COLUMNS`), `uncertainty` (float16, `(ny, nx)`, pixel-wise
    standard deviation of the ensemble's probabilities, 0 to 1; of a single network one minus the likeliest
    share), `class_map` (int16, class of each chip of a grid `(rows, columns)` or of each pixel `(ny, nx)`, -1
    for none) and `table` (float32, one row each) of engines with other answers.

    Attributes:
        pixel_size_m: of the source; None for what has no pixels, such as a series of spectra.
        latency_s: from the receipt of the frame to this header.
        stages_s: where that time went, by stage: `waiting`, `preprocessing`, `network`, ... Frames that were
            computed together share theirs.
        backend: what computed it, for example `openvino-bf16`; None in headers of the first version.
    """

    SINCE_VERSION_2 = ("stages_s", "backend")

    kind: Literal["result"] = "result"
    source_stream: str
    model_name: Identifier
    model_version: Annotated[int, Field(ge=1)]
    classes: tuple[str, ...]
    pixel_size_m: Annotated[float, Field(gt=0)] | None
    mean_uncertainty: Annotated[float, Field(ge=0, le=1)]
    mean_entropy_nats: Annotated[float, Field(ge=0)]
    drift_score: Annotated[float, Field(ge=0)]
    latency_s: Annotated[float, Field(ge=0)]
    stages_s: Annotated[dict[str, Annotated[float, Field(ge=0)]], Field(max_length=16)] = {}
    backend: Annotated[str, Field(max_length=64)] | None = None
