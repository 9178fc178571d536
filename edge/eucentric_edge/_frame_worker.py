"""The path of every frame: received, analysed, published, acknowledged, in this order."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import zmq
from pydantic import JsonValue

from eucentric_core import (
    DriftDetected,
    DriftRecovered,
    EdgeSettings,
    EucentricError,
    Frame,
    ModelAnswered,
    ResultHeader,
    ServiceUnavailableError,
    TransportError,
    span,
    trace_id_of,
)
from eucentric_core.transport import DataAccess, StreamMessage, StreamPublisher, StreamSubscriber

from ._drift_monitor import DriftGates, DriftState, Observation, observe
from ._errors import ModelLostError
from ._model_slot import ModelSlot
from ._serving_model import FrameAnswer, ServingModel
from ._statistics import Statistics
from ._steady import keep_steady

__all__ = ["FrameWorker"]

_POLL_S = 0.2
_CREDIT_FRAMES = 8
_MAX_WAIT_S = 1.0
"""An answer is of use while the instrument is still about where it was; a slow edge takes fewer at a time."""

_log = logging.getLogger(__name__)


class FrameWorker:
    """Takes frames from the agent and publishes what the model in the slot says about them.

    With `frames = "every"` the subscription is lossless: an edge that is too slow slows the source down
    instead of losing a frame. With `"newest"` it never slows it down and skips what it cannot follow. A frame
    is acknowledged after its results were published. It subscribes once there is a model.

    Args:
        settings: stream and drift gates.
        agent: host and data port of the agent.
        slot: where the model in service is.
        publisher: where results and events go; its time-out bounds how long a stop can take.
        statistics: where everything is counted.
        context: ZeroMQ context of the process.
        access: gets the keys of the agent's data channel, where it has some.
        answered: told of every frame and its answer, after they were published; must not wait.
        restore: puts a model in service again in place of one whose process has ended, warmed up for frames
            of this shape.
    """

    def __init__(
        self,
        settings: EdgeSettings,
        agent: tuple[str, int],
        slot: ModelSlot,
        publisher: StreamPublisher,
        statistics: Statistics,
        *,
        context: zmq.Context[zmq.Socket[bytes]],
        access: DataAccess | None = None,
        answered: Callable[[Frame, FrameAnswer], None] = lambda frame, answer: None,
        restore: Callable[[ServingModel, tuple[int, ...] | None], None] = lambda lost, frame_shape: None,
    ) -> None:
        self._access = access
        self._answered = answered
        self._restore = restore
        self._settings = settings
        self._agent = agent
        self._slot = slot
        self._publisher = publisher
        self._statistics = statistics
        self._context = context
        self._gates = DriftGates(
            window_frames=settings.drift_window_frames,
            drift_score_limit=settings.drift_score_limit,
            entropy_ratio_limit=settings.entropy_ratio_limit,
        )
        self._drift = DriftState()
        self._watched_version: int | None = None
        self._source = "waiting for a model"
        self._frame_shape: tuple[int, ...] | None = None

    @property
    def frame_shape(self) -> tuple[int, ...] | None:
        """Shape `(ny, nx)` of the last frame that was analysed."""
        return self._frame_shape

    def report(self) -> dict[str, JsonValue]:
        """State of the source and of the drift monitor as plain JSON."""
        drift = self._drift
        return {
            "source": self._source,
            "drift_score": drift.drift_score,
            "entropy_ratio": drift.entropy_ratio,
            "drift_reported": drift.reported,
        }

    def run(self, stopping: threading.Event) -> None:
        """Work until `stopping` is set."""
        while self._slot.model is None:
            if stopping.wait(_POLL_S):
                return
        # Now that all is loaded that a model needs, and before the first frame.
        keep_steady(threads=self._settings.threads)
        self._source = "waiting for the agent"
        with StreamSubscriber(
            *self._agent,
            streams=[self._settings.source_stream],
            mode="lossless" if self._settings.frames == "every" else "newest",
            credit=_CREDIT_FRAMES,
            window_s=_MAX_WAIT_S,
            context=self._context,
            access=self._access,
        ) as subscriber:
            try:
                self._work(subscriber, stopping)
            except TransportError as error:
                _log.warning("stopped with results that nobody took, their frame not acknowledged: %s", error)

    def _work(self, subscriber: StreamSubscriber, stopping: threading.Event) -> None:
        while not stopping.is_set():
            message = self._receive(subscriber)
            if message is not None:
                self._answer_waiting(message, subscriber, stopping)

    def _answer_waiting(
        self, message: StreamMessage, subscriber: StreamSubscriber, stopping: threading.Event
    ) -> None:
        together = [(message, time.perf_counter())]
        # Those that wait already; none is waited for, so a batch never costs a lone frame anything.
        while len(together) < self._settings.batch:
            another = subscriber.receive(0)
            if another is None:
                break
            together.append((another, time.perf_counter()))
        frames = deque(self._identified(together))
        lost_at: Frame | None = None
        while frames and not stopping.is_set():
            lost = self._answered_until_lost(frames, stopping)
            if lost is None:
                continue
            model, error = lost
            if frames[0][0] is lost_at:
                # Twice the same: it ends whoever analyses it, and the ones after it are to be answered.
                self._refuse_frame(frames.popleft()[0], error)
            lost_at = frames[0][0] if frames else None
            _log.error("the model is opened anew: %s", error)
            self._restore(model, self._frame_shape)
        if stopping.is_set():
            return
        for _ in together:
            subscriber.acknowledge()

    def _answered_until_lost(
        self, frames: deque[tuple[Frame, float]], stopping: threading.Event
    ) -> tuple[ServingModel, ModelLostError] | None:
        """Answer frames and take them out; ends before the first one at which the model was lost."""
        with self._slot.lent() as model:
            if model is None:
                # Refused when it was to be opened anew; an installation or a rollback brings another.
                stopping.wait(_POLL_S)
                return None
            try:
                self._answer(frames, model, stopping)
            except ModelLostError as error:
                return model, error
        return None

    def _receive(self, subscriber: StreamSubscriber) -> StreamMessage | None:
        try:
            message = subscriber.receive(_POLL_S)
        except ServiceUnavailableError as error:
            # The subscription renews itself; until then there is nothing to do but to say so once.
            if self._source != "silent":
                _log.warning("%s", error)
            self._source = "silent"
            return None
        if message is not None:
            self._source = "receiving"
        return message

    def _identified(self, messages: Sequence[tuple[StreamMessage, float]]) -> Iterator[tuple[Frame, float]]:
        for message, received_s in messages:
            self._statistics.frame_received()
            try:
                frame = message.frame()
            except EucentricError as error:
                self._refuse(error, message)
                continue
            header = frame.header
            self._statistics.frame_identified(header.instrument, header.session, header.sequence)
            yield frame, received_s

    def _answer(
        self, frames: deque[tuple[Frame, float]], model: ServingModel, stopping: threading.Event
    ) -> None:
        for frame, answer in self._answers(frames, model):
            self._frame_shape = frame.header.shape
            self._slot.pixel_size_m = answer.header.pixel_size_m
            for result, array in answer.results:
                self._hand_over(partial(self._publisher.publish, result, array), stopping)
            self._statistics.frame_answered(answer.header.latency_s, answer.header.stages_s)
            self._note_first_answer(answer, model, stopping)
            self._watch_drift(frame, answer, model, stopping)
            self._answered(frame, answer)

    def _answers(
        self, frames: deque[tuple[Frame, float]], model: ServingModel
    ) -> Iterator[tuple[Frame, FrameAnswer]]:
        """Each frame with its answer; out of `frames` by then, as are those that are refused."""
        if len(frames) > 1:
            try:
                answers = model.answer_all(
                    [frame for frame, _ in frames], received_s=[received_s for _, received_s in frames]
                )
            except ModelLostError:
                raise
            except EucentricError as error:
                # One of them is to blame; one by one it is the only one refused.
                _log.warning("a batch was refused, its frames are analysed one by one: %s", error)
            else:
                for answer in answers:
                    yield frames.popleft()[0], answer
                return
        while frames:
            frame, received_s = frames[0]
            try:
                answer = model.answer(frame, received_s=received_s)
            except ModelLostError:
                raise
            except EucentricError as error:
                self._refuse_frame(frame, error)
                frames.popleft()
            else:
                frames.popleft()
                yield frame, answer

    def _refuse_frame(self, frame: Frame, error: EucentricError) -> None:
        self._statistics.frame_refused(error.what)
        _log.error("frame refused: %s", error, extra={"sequence": frame.header.sequence})

    def _refuse(self, error: EucentricError, message: StreamMessage) -> None:
        self._statistics.frame_refused(error.what)
        _log.error(
            "frame refused: %s", error, extra={"header": message.header[:1000].decode(errors="replace")}
        )

    def _hand_over(self, send: Callable[[], None], stopping: threading.Event) -> None:
        # Nothing is dropped because a listener is slow: the source waits until it is taken.
        while True:
            try:
                return send()
            except TransportError as error:
                if stopping.is_set():
                    raise
                _log.warning("results are held back: %s", error)

    def _note_first_answer(self, answer: FrameAnswer, model: ServingModel, stopping: threading.Event) -> None:
        version = answer.header.model_version
        if version == self._watched_version:
            return
        trace_id = trace_id_of(model.manifest.lineage.trigger_id)
        with span("edge.first_answer", trace_id, version=version, sequence=answer.header.sequence):
            _log.info("version %d answered its first frame", version)
        event = ModelAnswered(
            source=self._settings.name,
            model_name=answer.header.model_name,
            model_version=version,
            session=answer.header.session,
            sequence=answer.header.sequence,
            latency_s=answer.header.latency_s,
            trace_id=trace_id,
        )
        self._hand_over(partial(self._publisher.publish_event, event), stopping)

    def _watch_drift(
        self, frame: Frame, answer: FrameAnswer, model: ServingModel, stopping: threading.Event
    ) -> None:
        result = answer.header
        if result.model_version != self._watched_version:
            self._drift, self._watched_version = DriftState(), result.model_version
        seen = Observation(result.session, result.sequence, result.drift_score, answer.entropy_ratio)
        before = self._drift
        self._drift, episode = observe(self._drift, seen, self._gates)
        if before.reported and not self._drift.reported:
            self._say_recovered(frame, result, model, stopping)
        if episode is None:
            return
        _log.warning("drift detected", extra={"episode": repr(episode)})
        event = DriftDetected(
            source=self._settings.name,
            instrument=result.instrument,
            session=episode.session,
            first_sequence=episode.first_sequence,
            sequence=episode.sequence,
            drift_score=episode.drift_score,
            quality_score=episode.entropy_ratio,
            model_name=result.model_name,
            model_version=result.model_version,
            material=frame.header.material or model.manifest.material,
        )
        self._hand_over(lambda: self._publisher.publish_event(event), stopping)

    def _say_recovered(
        self, frame: Frame, result: ResultHeader, model: ServingModel, stopping: threading.Event
    ) -> None:
        _log.info("the frames are familiar again", extra={"sequence": result.sequence})
        event = DriftRecovered(
            source=self._settings.name,
            instrument=result.instrument,
            session=result.session,
            sequence=result.sequence,
            model_name=result.model_name,
            model_version=result.model_version,
            material=frame.header.material or model.manifest.material,
        )
        self._hand_over(partial(self._publisher.publish_event, event), stopping)
