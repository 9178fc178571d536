"""A batch where the far end takes one file at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from eucentric_core import EucentricError, OutOfSpaceError

from ._mover import FarEndError, Outgoing, RemoteFile

__all__ = ["put_each", "stopped"]


def stopped(name: str) -> FarEndError:
    """What a file gets as its answer when this side stops before it is sent."""
    return FarEndError(
        f"Stopped before {name} was sent.",
        safe="the source is kept; nothing appeared under the name.",
        next_step="nothing: it is sent after the next start.",
    )


def put_each(
    put: Callable[[Outgoing], RemoteFile],
    files: Sequence[Outgoing],
    stopping: threading.Event | None,
    *,
    pool: Executor | None = None,
) -> tuple[RemoteFile | EucentricError, ...]:
    """Send one after the other, or as many at a time as the pool takes; see `Mover.put_many`."""
    down: list[EucentricError] = []

    def send(file: Outgoing) -> RemoteFile | EucentricError:
        if stopping is not None and stopping.is_set():
            return stopped(file.name)
        if down:
            # To try the others would only take its time-outs once for each of them.
            return down[0]
        try:
            return put(file)
        except (FarEndError, OutOfSpaceError) as error:
            down.append(error)
            return error
        except EucentricError as error:
            return error

    return tuple(map(send, files) if pool is None else pool.map(send, files))
