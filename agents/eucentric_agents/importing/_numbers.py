"""Numbers that a frame may hold, from whatever a file holds, without changing one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import refuse

__all__ = ["require_finite", "target_dtype"]

_KEPT = frozenset({"uint8", "uint16", "uint32", "int16", "int32", "float16", "float32", "float64"})
_WIDENED = {"bool": "uint8", "int8": "int16"}
_NARROWED = {"int64": "int32", "uint64": "uint32"}
_EXACT_IN_FLOAT64 = 2**53
_BLOCK_VALUES = 1 << 24


def target_dtype(name: str, data: NDArray[Any]) -> str:
    """The dtype of the frames of an array; every number of it is the same there.

    Raises:
        DataFormatError: colours, complex numbers, or integers that only 64 bits can hold.
    """
    if data.dtype.names is not None:
        raise refuse(name, "it holds colours", "save it as a grey image.")
    kind = data.dtype.newbyteorder("=").name
    if kind in _KEPT:
        return kind
    if kind in _WIDENED:
        return _WIDENED[kind]
    if kind in _NARROWED:
        low, high = int(data.min()), int(data.max())
        bounds = np.iinfo(_NARROWED[kind])
        if bounds.min <= low and high <= bounds.max:
            return _NARROWED[kind]
        if max(abs(low), abs(high)) <= _EXACT_IN_FLOAT64:
            return "float64"
    raise refuse(name, f"its numbers are {data.dtype}, which no frame holds exactly", "convert them first.")


def require_finite(name: str, data: NDArray[Any]) -> None:
    """Refuse numbers that are none.

    Raises:
        DataFormatError: NaN or infinite values; says how many.
    """
    if data.dtype.kind != "f":
        return
    wrong = sum(int(np.count_nonzero(~np.isfinite(block))) for block in _blocks(data))
    if wrong:
        raise refuse(
            name,
            f"{wrong} of its {data.size} values are not finite",
            "decide what the missing points shall be, and write the file anew.",
        )


def _blocks(data: NDArray[Any]) -> Iterator[NDArray[Any]]:
    per_row = max(1, data.size // max(1, len(data)))
    rows = max(1, _BLOCK_VALUES // per_row)
    for start in range(0, len(data), rows):
        yield data[start : start + rows]
