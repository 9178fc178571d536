"""The edge's side of a process that holds one model."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection

import numpy as np
import psutil
from numpy.typing import NDArray

from eucentric_core import EucentricError, error_from_report
from eucentric_models.backends import RUNS
from eucentric_models.engines import LiveAnswer

from .._errors import ModelLostError
from ._array_block import ArrayBlock
from ._messages import AsideReply, LiveReply, LiveRequest, Opened, OpenRequest, PlacedAnswer, SupportRequest

__all__ = ["FRAME_PATIENCE_S", "ModelProcess"]

_log = logging.getLogger(__name__)

# A shape that was not seen before is compiled first, with torch-compile for minutes.
_COMPILING_S = 1800.0
FRAME_PATIENCE_S = 60.0
"""How long frames of a shape that was answered before are waited for: hundreds of times what they take."""
_MOST_SHAPES = 256

_Shapes = tuple[tuple[tuple[int, ...], float | None], ...]
"""Of the images of a request, each with its pixel size: what a graph is compiled for."""


class ModelProcess:
    """A process with one model, as long as somebody refers to this; threads may share it.

    Frames wait for frames and nothing else: what takes longer is asked for on a connection of its own.

    Args:
        frames: connection to its frames.
        aside: to everything else.
        block: shared with it.
        patience_s: how long frames of a shape that was answered before are waited for.
    """

    def __init__(
        self,
        frames: Connection,
        aside: Connection,
        block: ArrayBlock,
        *,
        patience_s: float = FRAME_PATIENCE_S,
    ) -> None:
        self._frames = frames
        self._aside = aside
        self._block = block
        self._frames_lock = threading.Lock()
        self._aside_lock = threading.Lock()
        self._forgotten: list[int] = []
        self._patience_s = patience_s
        self._answered: set[_Shapes] = set()
        self._system_process: psutil.Process | None = None

    @classmethod
    def born_by(cls, control: socket.socket, *, patience_s: float = FRAME_PATIENCE_S) -> ModelProcess:
        """A new process from the nursery at the other end of `control`.

        Raises:
            OSError: the nursery is not there any more.
        """
        block = ArrayBlock.create()
        (frames, its_frames), (aside, its_aside) = socket.socketpair(), socket.socketpair()
        with frames, aside, its_frames, its_aside:
            handed = [its_frames.fileno(), its_aside.fileno(), block.fileno()]
            socket.send_fds(control, [b"+"], handed)
            return cls(Connection(frames.detach()), Connection(aside.detach()), block, patience_s=patience_s)

    def live(
        self, head: int, images: Sequence[NDArray[np.generic]], *, pixel_sizes_m: Sequence[float | None]
    ) -> list[LiveAnswer]:
        """See `LiveModel.live`.

        Raises:
            ModelLostError: the process has ended, or did not answer and was killed: within `patience_s`, or
                within half an hour where images of these shapes are its first.
            RuntimeError: the model failed on these images in a way that is no error of this project.
        """
        with self._frames_lock:
            forgotten, self._forgotten = self._forgotten, []
            request = LiveRequest(
                head=head,
                images=self._block.put(images),
                pixel_sizes_m=tuple(pixel_sizes_m),
                forget=tuple(forgotten),
            )
            shapes = tuple(zip((image.shape for image in images), pixel_sizes_m, strict=True))
            patience_s = self._patience_s if shapes in self._answered else _COMPILING_S
            said = self._asked(self._frames, request.model_dump_json().encode(), patience_s)
            reply = LiveReply.model_validate_json(said)
            if reply.error is not None:
                raise error_from_report(reply.error)
            if reply.failure is not None:
                raise RuntimeError(reply.failure)
            if len(self._answered) >= _MOST_SHAPES:
                self._answered.clear()
            self._answered.add(shapes)
            return [self._own(answer) for answer in reply.answers]

    def ask_aside(self, request: OpenRequest | SupportRequest) -> Opened:
        """Have it open its model, or another head, while frames are answered.

        Raises:
            EucentricError: it was refused.
            ModelLostError: the process has ended.
        """
        with self._aside_lock:
            said = self._asked(self._aside, request.model_dump_json().encode(), _COMPILING_S)
        reply = AsideReply.model_validate_json(said)
        for line in reply.log:
            logging.getLogger(line.logger).log(line.level, "%s", line.message)
        if reply.error is not None:
            raise error_from_report(reply.error)
        if reply.opened is None:
            raise _lost(f"failed: {reply.failure}")
        with suppress(psutil.NoSuchProcess):
            self._system_process = psutil.Process(reply.opened.process_id)
        if isinstance(request, OpenRequest) and request.frame_shape is not None:
            # It was warmed up with one.
            self._answered.add(((request.frame_shape, request.pixel_size_m),))
        return reply.opened

    def forget(self, head: int) -> None:
        """A head is no longer needed; told with the next frame."""
        self._forgotten.append(head)

    def close(self) -> None:
        """Have it end; a call after it raises `ModelLostError`."""
        # Not behind the locks: whoever waits for an answer is to wait no longer.
        for connection in (self._frames, self._aside):
            with socket.fromfd(connection.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as end:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError as error:
                    _log.debug("the process of a model had ended: %s", error)

    def _asked(self, connection: Connection, request: bytes, patience_s: float) -> bytes:
        try:
            connection.send_bytes(request)
            # Somebody else computes now, and this interpreter is free.
            RUNS.begin()
            if not connection.poll(patience_s):
                self.close()
                self._kill()
                raise _lost(f"did not answer within {patience_s:g} s and was killed")
            return connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise _lost("has ended") from error

    def _kill(self) -> None:
        """One that hangs does not see that its connections are closed."""
        if self._system_process is not None:
            with suppress(psutil.NoSuchProcess):
                self._system_process.kill()

    def _own(self, answer: PlacedAnswer) -> LiveAnswer:
        return LiveAnswer(
            arrays={name: self._block.view(place).copy() for name, place in answer.arrays.items()},
            mean_uncertainty=answer.mean_uncertainty,
            mean_entropy_nats=answer.mean_entropy_nats,
            entropy_ratio=answer.entropy_ratio,
            drift_score=answer.drift_score,
            stages_s=answer.stages_s,
        )


def _lost(what: str) -> EucentricError:
    return ModelLostError(
        f"The process of the model {what}.",
        safe="no frame is lost; frames wait while the model is opened anew.",
        next_step="if it happens again, look for a lack of memory in the log of the system.",
    )
