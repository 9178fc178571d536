"""One frame as the viewers see it: encoded once, whatever their number, and only if one of them asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from eucentric_core import DataFormatError, Frame, ResultHeader

from ._encode import Contrast, encode_image, encode_uncertainty

__all__ = ["Picture"]

_T = TypeVar("_T", str, bytes)


class Picture:
    """A frame `(ny, nx)` and, once it has come, the edge's answer to it.

    Args:
        version: rises by one per picture of this process; names it in URLs.
        frame: the image.
        arrived_s: monotonic time of its arrival here.
    """

    def __init__(self, version: int, frame: Frame, *, arrived_s: float) -> None:
        self.version = version
        self.frame = frame
        self.arrived_s = arrived_s
        self.answer: ResultHeader | None = None
        self.rows: npt.NDArray[np.float32] | None = None
        self.deviation: npt.NDArray[np.float16] | None = None
        self.class_map_header: ResultHeader | None = None
        self.class_map: npt.NDArray[np.int16] | None = None
        self._lock = threading.Lock()
        self._made: dict[Hashable, str | bytes] = {}

    @property
    def pixel_size_m(self) -> float | None:
        """Pixel size (m) as the frame states it, else as the edge was told; None if nobody knows."""
        try:
            return self.frame.header.pixel_size_m
        except DataFormatError:
            return self.answer.pixel_size_m if self.answer else None

    @property
    def latency_s(self) -> float:
        """How long the edge took for its answer (s); 0 while there is none."""
        header = self.answer or self.class_map_header
        return header.latency_s if header else 0.0

    @property
    def counts(self) -> tuple[tuple[str, int], ...]:
        """Class names and how many detections each has; empty while there is no answer."""
        if self.answer is None or self.rows is None:
            return ()
        found = np.bincount(self.rows[:, 2].astype(int), minlength=len(self.answer.classes))
        return tuple((name, int(found[i])) for i, name in enumerate(self.answer.classes))

    def once(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """What `make` makes under this key, made once for all who ask."""
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]  # type: ignore[return-value]  # a key always holds what its maker returns

    def jpeg(self, contrast: Contrast) -> bytes:
        """The frame as JPEG."""
        return self.once(("jpeg", contrast), lambda: encode_image(self.frame.array, contrast))

    def uncertainty_png(self) -> bytes | None:
        """The uncertainty as a transparent PNG; None while it has not come."""
        deviation = self.deviation
        if deviation is None:
            return None
        return self.once("uncertainty", lambda: encode_uncertainty(deviation))
