"""Memory that two processes share, and arrays in it."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence
from math import prod
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from eucentric_core import FrozenModel

__all__ = ["ArrayBlock", "ArrayPlace"]

_ALIGNED_BYTES = 64
_STEP_BYTES = 1 << 20
_NUMBERS = "biufc"


class ArrayPlace(FrozenModel):
    """Where an array lies in a block.

    Attributes:
        offset: of its first byte.
        shape: of the array.
        dtype: as NumPy writes it, for example `<f4`.
    """

    offset: Annotated[int, Field(ge=0)]
    shape: tuple[int, ...]
    dtype: str

    @property
    def end(self) -> int:
        """Offset of the byte after its last one."""
        return self.offset + prod(self.shape) * np.dtype(self.dtype).itemsize


class ArrayBlock:
    """A piece of memory without a name, which grows as needed; it goes with the last process that has it.

    The two processes take turns: one writes while the other waits for it.

    Args:
        descriptor: of its file; the block closes it when it is dropped.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._map: mmap.mmap | None = None

    @classmethod
    def create(cls) -> ArrayBlock:
        """A new, empty one.

        Raises:
            OSError: there is no memory or descriptor for it.
        """
        if hasattr(os, "memfd_create"):
            return cls(os.memfd_create("eucentric-frames", os.MFD_CLOEXEC))
        with tempfile.TemporaryFile(prefix="eucentric-frames-") as file:
            return cls(os.dup(file.fileno()))

    def __del__(self) -> None:
        os.close(self._descriptor)

    def fileno(self) -> int:
        """Descriptor of its file, to be handed to the other process."""
        return self._descriptor

    def put(
        self, arrays: Sequence[NDArray[np.generic]], *, after: Sequence[ArrayPlace] = ()
    ) -> tuple[ArrayPlace, ...]:
        """Copy arrays into the block.

        Args:
            arrays: of numbers.
            after: what must stay as it is.

        Raises:
            ValueError: an array is not one of numbers.
            OSError: there is no memory for them.
        """
        places: list[ArrayPlace] = []
        end = max((place.end for place in after), default=0)
        for array in arrays:
            if array.dtype.kind not in _NUMBERS:
                raise ValueError(f"an array of {array.dtype} is none of numbers")
            place = ArrayPlace(
                offset=end + -end % _ALIGNED_BYTES, shape=array.shape, dtype=array.dtype.newbyteorder("=").str
            )
            end = place.end
            places.append(place)
        for place, array in zip(places, arrays, strict=True):
            np.copyto(self.view(place), array)
        return tuple(places)

    def view(self, place: ArrayPlace) -> NDArray[np.generic]:
        """An array as it lies in the block; valid until the other process is given its turn.

        Raises:
            OSError: there is no memory for it.
        """
        dtype = np.dtype(place.dtype)
        count = prod(place.shape)
        if not count:
            return np.empty(place.shape, dtype)
        mapped = self._mapped(place.end)
        return np.frombuffer(mapped, dtype, count=count, offset=place.offset).reshape(place.shape)

    def _mapped(self, size: int) -> mmap.mmap:
        if self._map is None or len(self._map) < size:
            held = os.fstat(self._descriptor).st_size
            if held < size:
                held = size + -size % _STEP_BYTES
                os.ftruncate(self._descriptor, held)
            # What looks at the former map keeps it; both show the same memory.
            self._map = mmap.mmap(self._descriptor, held)
        return self._map
