"""Work of an edge that the frames must not wait for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from eucentric_core import give_way

__all__ = ["beside_frames"]

_Result = TypeVar("_Result")


def beside_frames(work: Callable[[], _Result], *, threads: int = 1) -> _Result:
    """Do it and wait for it; where frames are computed by one thread, that thread goes first.

    Args:
        work: what to do; what it raises is raised here.
        threads: that compute a frame, where the work compiles a model. The runtimes make all but the first of
            them then, and a thread has the priority of the one that made it: with more than one, frames
            would be computed as slowly as models are installed.
    """
    if threads > 1:
        return work()
    with ThreadPoolExecutor(1, "edge-aside", initializer=give_way) as executor:
        return executor.submit(work).result()
