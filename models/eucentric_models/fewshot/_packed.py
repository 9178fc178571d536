"""Small arrays inside JSON."""

from __future__ import annotations

import base64
import binascii
from math import prod
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from eucentric_core import FrozenModel

_MAX_CHARACTERS = 64 << 20


class PackedArray(FrozenModel):
    """An array of float16, little-endian, C order, as base64.

    Attributes:
        dtype: always ``float16``: three digits are enough for embeddings and grey levels.
        shape: of the array.
        base64: its bytes.
    """

    dtype: Literal["float16"] = "float16"
    shape: Annotated[tuple[Annotated[int, Field(ge=1, le=1 << 20)], ...], Field(min_length=1, max_length=4)]
    base64: Annotated[str, Field(max_length=_MAX_CHARACTERS)]

    @classmethod
    def of(cls, array: NDArray[np.floating]) -> Self:
        """Pack an array, rounded to float16."""
        plain = np.ascontiguousarray(array, dtype="<f2")
        return cls(shape=plain.shape, base64=base64.b64encode(plain.tobytes()).decode())

    def array(self) -> NDArray[np.float32]:
        """The array, as float32."""
        content = base64.b64decode(self.base64, validate=True)
        return np.frombuffer(content, dtype="<f2").reshape(self.shape).astype(np.float32)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        try:
            content = base64.b64decode(self.base64, validate=True)
        except binascii.Error as error:
            raise ValueError(f"not base64: {error}") from error
        if len(content) != 2 * prod(self.shape):
            raise ValueError(f"{len(content)} bytes for an array of shape {self.shape}")
        if not np.isfinite(np.frombuffer(content, dtype="<f2")).all():
            raise ValueError("the array holds NaN or infinity")
        return self
