"""What every compiled ensemble knows of itself."""

from __future__ import annotations

import threading

from ._frame_shape import FrameShape

__all__ = ["CompiledShape"]


class CompiledShape:
    """The base of the compiled ensembles; see :class:`CompiledEnsemble`.

    Args:
        name: of the back end.
        frame: the images it is compiled for.
        threads: CPU threads that one call uses at most.
    """

    def __init__(self, name: str, frame: FrameShape, threads: int) -> None:
        self._name = name
        self._frame = frame
        self._threads = threads
        self._lock = threading.Lock()

    @property
    def shape(self) -> tuple[int, int]:
        """`(ny, nx)` of the images."""
        return self._frame.shape

    @property
    def batch(self) -> int:
        """How many images one call takes at most."""
        return self._frame.batch

    @property
    def threads(self) -> int:
        """CPU threads that one call uses at most."""
        return self._threads
