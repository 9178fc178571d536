"""Watches the streams from outside, like any scientist's notebook, and scores every answered frame."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eucentric_core import Frame, ResultHeader, ServiceUnavailableError, Settings
from eucentric_core.transport import StreamMessage, StreamSubscriber
from eucentric_models.decoding import Detections
from eucentric_models.metrics import Score, score_frame

__all__ = ["Answer", "Observer", "Snapshot"]

_WAITING_FRAMES = 256


@dataclass(frozen=True)
class Answer:
    """The edge's answer to one frame; `score` is None where the truth is not known."""

    result: ResultHeader
    detections: int
    score: Score | None


@dataclass(frozen=True)
class Snapshot:
    """One frame with everything said about it: `image` and `uncertainty` have shape `(ny, nx)`."""

    image: Frame
    result: ResultHeader
    rows: npt.NDArray[np.float32]
    uncertainty: npt.NDArray[np.float16]
    score: Score | None


@dataclass
class _Parts:
    image: Frame | None = None
    truth: Frame | None = None
    answer: tuple[ResultHeader, npt.NDArray[np.float32]] | None = None


class Observer:
    """Joins frames, truth and answers by sequence number; they arrive in any order."""

    def __init__(self, settings: Settings) -> None:
        agent, edge = settings.agent, settings.edge
        self._microscope = StreamSubscriber(
            agent.host, agent.data_port, streams=[edge.source_stream, "truth"], mode="lossless", credit=64
        )
        self._edge = StreamSubscriber(
            edge.host, edge.data_port, streams=["detections", "uncertainty"], mode="lossless", credit=64
        )
        self._lock = threading.Lock()
        self._parts: OrderedDict[int, _Parts] = OrderedDict()
        self._answers: list[Answer] = []
        self._snapshot: Snapshot | None = None
        self._failure: Exception | None = None
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=(source,), daemon=True)
            for source in (self._microscope, self._edge)
        ]

    def start(self, *, timeout_s: float = 20.0) -> None:
        """Begin to watch.

        Raises:
            ServiceUnavailableError: the agent or the edge does not answer.
        """
        for source, thread in zip((self._microscope, self._edge), self._threads, strict=True):
            source.wait_subscribed(timeout_s)
            thread.start()

    @property
    def answers(self) -> tuple[Answer, ...]:
        """All answers so far, in the order they came.

        Raises:
            Exception: whatever ended the watching.
        """
        with self._lock:
            if self._failure is not None:
                raise self._failure
            return tuple(self._answers)

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest frame of which everything is known."""
        with self._lock:
            return self._snapshot

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=5)
        self._microscope.close()
        self._edge.close()

    def _follow(self, source: StreamSubscriber) -> None:
        while not self._closed.is_set():
            try:
                message = source.receive(timeout_s=0.2)
                if message is not None:
                    self._take(message)
                    source.acknowledge()
            except ServiceUnavailableError:
                continue  # the story has its own time-outs and says which stage stands still
            except Exception as error:  # noqa: BLE001  # handed to the story's thread, which raises it
                with self._lock:
                    self._failure = error
                return

    def _take(self, message: StreamMessage) -> None:
        with self._lock:
            match message.stream:
                case "detections":
                    header, rows = message.result()
                    parts = self._parts_of(header.sequence)
                    parts.answer = (header, rows.astype(np.float32, copy=False))
                    self._score(parts)
                case "uncertainty":
                    header, deviation = message.result()
                    self._complete(self._parts_of(header.sequence), deviation.astype(np.float16, copy=False))
                case "truth":
                    frame = message.frame()
                    self._parts_of(frame.header.sequence).truth = frame
                case _:
                    frame = message.frame()
                    parts = self._parts_of(frame.header.sequence)
                    parts.image = frame
                    self._score(parts)

    def _parts_of(self, sequence: int) -> _Parts:
        parts = self._parts.setdefault(sequence, _Parts())
        while len(self._parts) > _WAITING_FRAMES:
            self._parts.popitem(last=False)
        return parts

    def _score(self, parts: _Parts) -> None:
        # The truth of a frame is published before its image, so an image without truth has none.
        if parts.image is None or parts.answer is None:
            return
        header, rows = parts.answer
        self._answers.append(Answer(header, len(rows), _score_of(parts.image, parts.truth, header, rows)))

    def _complete(self, parts: _Parts, deviation: npt.NDArray[np.float16]) -> None:
        if parts.image is None or parts.answer is None:
            return
        header, rows = parts.answer
        score = _score_of(parts.image, parts.truth, header, rows)
        self._snapshot = Snapshot(parts.image, header, rows, deviation, score)


def _score_of(
    image: Frame, truth: Frame | None, header: ResultHeader, rows: npt.NDArray[np.float32]
) -> Score | None:
    if truth is None or header.pixel_size_m is None:
        return None
    ny, nx = image.header.shape
    found = Detections.from_rows(rows)
    return score_frame(
        found,
        truth.array.astype(np.float32, copy=False),
        n_classes=len(header.classes),
        pixel_size_m=header.pixel_size_m,
        shape=(ny, nx),
    )
