"""Frames as bytes: NumPy's own format, JSON, TIFF, and one frame as a PNG to look at."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson

from ._errors import SelectionError, TooLargeError
from ._select import FrameSlice, too_large

__all__ = ["FrameFormat", "as_json", "as_npy", "as_png", "as_tiff", "headers_as_json"]

FrameFormat = Literal["npy", "json", "png", "tiff"]

_MAX_JSON_VALUES = 1 << 22
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _require_uniform(chosen: FrameSlice) -> None:
    if not chosen.uniform:
        raise SelectionError(
            "These frames differ in shape or type and cannot be one array.",
            safe="nothing was read.",
            next_step="ask for format=json, or for one frame at a time.",
        )


def as_npy(chosen: FrameSlice) -> tuple[int, Iterator[bytes]]:
    """A `.npy` of shape (frames, ...): its length in bytes, and its parts as they are read."""
    _require_uniform(chosen)
    dtype = np.dtype(chosen.headers[0].dtype)
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head,
        {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": (len(chosen.headers), *chosen.shapes[0]),
        },
    )

    def parts() -> Iterator[bytes]:
        yield head.getvalue()
        for array in chosen.arrays():
            yield array.tobytes()

    return len(head.getvalue()) + chosen.nbytes, parts()


def as_json(chosen: FrameSlice) -> bytes:
    """Headers and values as nested lists; NaN and infinities are null.

    Raises:
        TooLargeError: more than four million values.
    """
    values = sum(int(np.prod(shape)) for shape in chosen.shapes)
    if values > _MAX_JSON_VALUES:
        raise TooLargeError(
            f"{values} values are too many for JSON.",
            safe="nothing was read.",
            next_step="ask for format=npy, or for less.",
        )
    frames = [
        {"header": header.model_dump(mode="json"), "values": array}
        for header, array in zip(chosen.headers, chosen.arrays(), strict=True)
    ]
    document = {"stream": chosen.stream, "frames": frames}
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY, default=_plain)


def headers_as_json(chosen: FrameSlice, max_bytes: int) -> bytes:
    """Headers without their frames.

    Raises:
        TooLargeError: more than `max_bytes`.
    """
    answer = bytearray(b'{"headers":[')
    for index, header in enumerate(chosen.headers):
        answer += (b"," if index else b"") + header.model_dump_json().encode()
        if len(answer) + 2 > max_bytes:
            raise too_large(f"more than {max_bytes} bytes")
    return bytes(answer + b"]}")


def _plain(value: object) -> object:
    # orjson knows float16 not in every version.
    if isinstance(value, np.ndarray):
        return value.astype(np.float32).tolist()
    raise TypeError


def as_tiff(chosen: FrameSlice) -> bytes:
    """A TIFF of one page a frame, values unchanged."""
    import tifffile

    _require_uniform(chosen)
    _require_image(chosen, "TIFF")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.stack(list(chosen.arrays())), photometric="minisblack")
    return buffer.getvalue()


def as_png(chosen: FrameSlice, low: float | None, high: float | None) -> tuple[bytes, float, float]:
    """One frame in 256 grey levels between `low` and `high` (default: its own extremes).

    Returns:
        The picture, and the values of black and white.
    """
    if len(chosen.headers) != 1:
        raise SelectionError(
            "A PNG shows one frame.",
            safe="nothing was read.",
            next_step="give start and stop of one sequence number, or ask for format=tiff.",
        )
    _require_image(chosen, "PNG")
    array = next(chosen.arrays()).astype(np.float64)
    finite = array[np.isfinite(array)]
    black = float(finite.min()) if low is None and finite.size else low or 0.0
    white = float(finite.max()) if high is None and finite.size else high or 0.0
    scale = 255.0 / (white - black) if white > black else 0.0
    grey = np.clip(np.nan_to_num((array - black) * scale), 0, 255).astype(np.uint8)
    return _png(grey), black, white


def _require_image(chosen: FrameSlice, name: str) -> None:
    if any(len(shape) != 2 or 0 in shape for shape in chosen.shapes):
        raise SelectionError(
            f"A {name} holds images of two axes.",
            safe="nothing was read.",
            next_step="ask for format=npy or format=json.",
        )


def _png(grey: npt.NDArray[Any]) -> bytes:
    """8-bit greyscale (https://www.w3.org/TR/png-3/), filter 0 on every line."""
    height, width = grey.shape
    lines = np.zeros((height, width + 1), np.uint8)
    lines[:, 1:] = grey
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines.tobytes(), 6)),
        (b"IEND", b""),
    )
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    ]
    return _PNG_SIGNATURE + b"".join(chunks)
