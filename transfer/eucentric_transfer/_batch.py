"""A batch where the far end takes one file at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

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
    put: Callable[[Outgoing], RemoteFile], files: Sequence[Outgoing], stopping: threading.Event | None
) -> tuple[RemoteFile | EucentricError, ...]:
    """Send one after the other; see `Mover.put_many`."""
    answers: list[RemoteFile | EucentricError] = []
    for file in files:
        if stopping is not None and stopping.is_set():
            answers.append(stopped(file.name))
            continue
        try:
            answers.append(put(file))
        except (FarEndError, OutOfSpaceError) as error:
            # To try the others would only take its time-outs once for each of them.
            answers += [error] * (len(files) - len(answers))
            break
        except EucentricError as error:
            answers.append(error)
    return tuple(answers)
