"""A frame: one measurement of one stream, with everything needed to read it alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import pi, prod
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import (
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from ._errors import DataFormatError
from ._model import FrozenModel, Identifier, UtcDatetime
from ._notebook import html_of
from ._second_version import SecondVersion

__all__ = [
    "MAX_CLASSES_BYTES",
    "MAX_FRAME_BYTES",
    "MAX_VENDOR_METADATA_BYTES",
    "Axis",
    "Frame",
    "FrameHeader",
    "Optics",
    "StagePosition",
    "StreamHeader",
]

MAX_FRAME_BYTES = 1 << 30
"""Largest array a header may announce (bytes); a larger announcement is refused before allocation."""

MAX_VENDOR_METADATA_BYTES = 256 << 10
"""Longest vendor metadata of a frame, as JSON text (bytes)."""

MAX_CLASSES_BYTES = 32 << 10
"""Longest list of class names of a frame, as JSON text (bytes): a header must fit into a shard's table."""

_ITEM_BYTES = {
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "int16": 2,
    "int32": 4,
    "float16": 2,
    "float32": 4,
    "float64": 8,
}
"""Size of an element (bytes) by dtype. Asked for with each frame several times; NumPy takes longer."""


class Axis(FrozenModel):
    """Linear calibration of one array axis: `coordinate = offset + scale * index`, in `unit`."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
    unit: Literal["m", "rad", "eV", "s", "1/m", "px", ""]
    scale: Annotated[float, Field(gt=0)]
    offset: float = 0.0


class StagePosition(FrozenModel):
    """A stage position in the instrument's frame of reference. Metres and radians."""

    x_m: Annotated[float, Field(ge=-5e-3, le=5e-3)] = 0.0
    y_m: Annotated[float, Field(ge=-5e-3, le=5e-3)] = 0.0
    z_m: Annotated[float, Field(ge=-5e-3, le=5e-3)] = 0.0
    alpha_rad: Annotated[float, Field(ge=-pi / 2, le=pi / 2)] = 0.0
    beta_rad: Annotated[float, Field(ge=-pi / 2, le=pi / 2)] = 0.0


class Optics(FrozenModel):
    """The illumination and scan at the moment of acquisition. None: the instrument or file does not say."""

    high_tension_v: Annotated[float, Field(gt=0, le=3e6)] | None
    beam_current_a: Annotated[float, Field(ge=0, le=1e-6)] | None
    convergence_angle_rad: Annotated[float, Field(gt=0, le=0.2)] | None
    defocus_m: Annotated[float, Field(ge=-1e-4, le=1e-4)] | None
    field_of_view_m: Annotated[float, Field(gt=0, le=1e-2)] | None
    dwell_time_s: Annotated[float, Field(gt=0, le=10)] | None
    scan_rotation_rad: Annotated[float, Field(ge=-2 * pi, le=2 * pi)] = 0.0


class StreamHeader(FrozenModel):
    """What every message of the data channel says about the array that follows it.

    `shape` is in C order; for images `(ny, nx)` in pixels. `sequence` rises by one per acquisition
    within `(instrument, session)`, whatever the stream, so that the streams of one acquisition
    share a number.
    """

    schema_version: Literal[1, 2] = 1
    kind: Literal["frame", "result"]
    instrument: Identifier
    session: Identifier
    stream: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
    sequence: Annotated[int, Field(ge=0)]
    acquired_utc: UtcDatetime
    acquired_monotonic_s: float
    shape: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=4)]
    dtype: str
    simulated: bool

    @field_validator("dtype")
    @classmethod
    def _known_dtype(cls, value: str) -> str:
        if value not in _ITEM_BYTES:
            raise ValueError(f"dtype {value!r} is not one of {sorted(_ITEM_BYTES)}")
        return value

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.nbytes > MAX_FRAME_BYTES:
            raise ValueError(f"array of {self.nbytes} bytes is over the limit of {MAX_FRAME_BYTES}")
        return self

    @property
    def nbytes(self) -> int:
        """Size of the array in bytes."""
        return prod(self.shape) * _ITEM_BYTES[self.dtype]


class FrameHeader(SecondVersion, StreamHeader):
    """Header of a measured (or, if `simulated`, computed) array.

    `dose_e_per_a2` is the electron dose of this frame; None if it is not known.
    `classes` names the integer classes of a `truth` stream, whose rows are
    `(y_px, x_px, class_id)` as float32, shape `(n, 3)`.

    `scan` is the ordinal of the scan within its session: the frames of one scan and stream have one
    shape and dtype. None: the source does not tell scans apart. `vendor_metadata` is what the
    vendor's software said about the frame, verbatim; None if it said nothing. Both came with version 2.
    """

    SINCE_VERSION_2 = ("scan", "vendor_metadata")

    kind: Literal["frame"] = "frame"
    axes: tuple[Axis, ...] = ()
    optics: Optics
    stage: StagePosition
    dose_e_per_a2: Annotated[float, Field(ge=0)] | None
    sample: Identifier | None = None
    material: Identifier | None = None
    classes: tuple[str, ...] = ()
    scan: Annotated[int, Field(ge=0)] | None = None
    vendor_metadata: dict[str, JsonValue] | None = None

    @field_validator("classes")
    @classmethod
    def _bounded_classes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value and (length := len(json.dumps(value))) > MAX_CLASSES_BYTES:
            raise ValueError(f"class names of {length} bytes are over {MAX_CLASSES_BYTES}")
        return value

    @field_validator("vendor_metadata")
    @classmethod
    def _bounded_metadata(cls, value: dict[str, JsonValue] | None) -> dict[str, JsonValue] | None:
        if value is not None:
            try:
                length = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
            except RecursionError as error:
                raise ValueError("vendor metadata is nested too deeply") from error
            if length > MAX_VENDOR_METADATA_BYTES:
                raise ValueError(f"vendor metadata of {length} bytes is over {MAX_VENDOR_METADATA_BYTES}")
        return value

    @model_validator(mode="after")
    def _axes_match_shape(self) -> Self:
        if self.axes and len(self.axes) != len(self.shape):
            raise ValueError(f"{len(self.axes)} axes for an array of {len(self.shape)} dimensions")
        return self

    @property
    def pixel_size_m(self) -> float:
        """Pixel size (m) along the fast scan axis of an image.

        Raises:
            DataFormatError: the frame carries no calibrated spatial axis.
        """
        if self.axes and self.axes[-1].unit == "m":
            return self.axes[-1].scale
        raise DataFormatError(
            f"Frame {self.sequence} of stream {self.stream!r} has no pixel size in metres.",
            safe="nothing was changed.",
            next_step="give the pixel size when importing the data; it is never guessed.",
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """A header and a read-only view of its array. The array is never copied or pickled on the way.

    Raises:
        DataFormatError: shape, type or byte order (native) is not what the header announces.
    """

    header: FrameHeader
    array: npt.NDArray[np.generic]

    def __post_init__(self) -> None:
        if self.array.shape != self.header.shape or self.array.dtype != np.dtype(self.header.dtype):
            raise DataFormatError(
                f"Header announces {self.header.dtype}{list(self.header.shape)}, the array is "
                f"{self.array.dtype.str}{list(self.array.shape)}.",
                safe="the frame was not accepted.",
                next_step="report this: the producer's header and array disagree.",
            )
        view = self.array.view()
        view.flags.writeable = False
        object.__setattr__(self, "array", view)

    def _repr_html_(self) -> str | None:
        return html_of(self)
