"""Joins frames, truth and answers by session and sequence number, with bounds on everything it keeps."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from eucentric_core import Frame, ResultHeader
from eucentric_models.decoding import Detections
from eucentric_models.metrics import score_frame

from ._picture import Picture

__all__ = ["COURSE_FRAMES", "CoursePoint", "LiveJoin"]

COURSE_FRAMES = 400
"""Answered frames whose figures are kept for the course of drift, uncertainty and F1."""

MAX_KEPT_FRAMES = 64
MAX_KEPT_BYTES = 256 << 20
MAX_BEHIND_S = 2.0
"""An answered frame is shown until it is this much older than the newest; then the newest is shown bare."""
MAX_BEHIND_ANSWERS = 3
"""Where each answer takes long, it is shown for as long as so many take: one is made while the next waits."""

_RATE_FRAMES = 64
_RATE_WINDOW_S = 4.0

_log = logging.getLogger(__name__)

_Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class CoursePoint:
    """What the edge said about one frame; `f1` is None where the truth is not known, or of other classes."""

    session: str
    sequence: int
    acquired_utc: datetime
    model_version: int
    drift_score: float
    mean_uncertainty: float
    latency_s: float
    f1: float | None


@dataclass(slots=True)
class _Entry:
    picture: Picture | None = None
    truth: Frame | None = None
    answer: tuple[ResultHeader, npt.NDArray[np.float32]] | None = None
    deviation: npt.NDArray[np.float16] | None = None
    class_map: tuple[ResultHeader, npt.NDArray[np.int16]] | None = None
    counted: bool = False


class LiveJoin:
    """Takes messages in any order and tells what to show. Not thread-safe; the hub holds the lock."""

    def __init__(self) -> None:
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._kept_bytes = 0
        self._versions = 0
        self._newest: Picture | None = None
        self._answered: Picture | None = None
        self._complete: Picture | None = None
        self._arrivals: deque[tuple[float, _Key]] = deque(maxlen=_RATE_FRAMES)
        self._course: deque[CoursePoint] = deque(maxlen=COURSE_FRAMES)
        self.skipped_frames = 0

    @property
    def newest(self) -> Picture | None:
        """The newest frame, answered or not."""
        return self._newest

    @property
    def answered(self) -> Picture | None:
        """The newest frame that was answered, however far the edge is behind."""
        return self._answered

    @property
    def course(self) -> tuple[CoursePoint, ...]:
        """The last `COURSE_FRAMES` answers, oldest first."""
        return tuple(self._course)

    def take_frame(self, frame: Frame, *, now_s: float) -> None:
        """A frame of the source stream arrived."""
        key = (frame.header.session, frame.header.sequence)
        entry = self._entry(key)
        if entry.picture is not None:
            return
        self._versions += 1
        entry.picture = Picture(self._versions, frame, arrived_s=now_s)
        self._kept_bytes += frame.array.nbytes
        self._count_skipped(key)
        self._arrivals.append((now_s, key))
        self._newest = entry.picture
        self._join(entry)
        self._evict()

    def take_truth(self, frame: Frame) -> None:
        """The ground truth of a frame arrived (simulated instruments only)."""
        entry = self._entry((frame.header.session, frame.header.sequence))
        entry.truth = frame
        self._evict()

    def take_detections(self, header: ResultHeader, rows: npt.NDArray[np.float32]) -> None:
        """The edge's detections arrived, `(n, 4)`."""
        entry = self._entry((header.session, header.sequence))
        if entry.answer is None:
            entry.answer = (header, rows)
            self._join(entry)
            self._evict()

    def take_uncertainty(self, header: ResultHeader, deviation: npt.NDArray[np.float16]) -> None:
        """The edge's pixel-wise uncertainty arrived, `(ny, nx)`."""
        entry = self._entry((header.session, header.sequence))
        if entry.deviation is None:
            entry.deviation = deviation
            self._kept_bytes += deviation.nbytes
            self._join(entry)
            self._evict()

    def take_class_map(self, header: ResultHeader, classes: npt.NDArray[np.int16]) -> None:
        """The edge's classes of chips `(rows, columns)` or of pixels `(ny, nx)` arrived; -1 is none."""
        entry = self._entry((header.session, header.sequence))
        if entry.class_map is None:
            entry.class_map = (header, classes)
            self._kept_bytes += classes.nbytes
            self._join(entry)
            self._evict()

    def choose(self, *, with_uncertainty: bool) -> Picture | None:
        """The picture to show: the newest one of which all is known, unless the edge has fallen behind."""
        wanted = self._complete if with_uncertainty else self._answered
        if wanted is None or self._newest is None:
            return self._newest
        is_behind = self._newest.arrived_s - wanted.arrived_s > _allowed_behind_s(wanted)
        return self._newest if is_behind else wanted

    def behind_s(self, *, now_s: float) -> float | None:
        """For how long a frame has waited for its answer (s), if that is longer than answered ones are shown.

        Of a long queue only the end is known, so it may be longer. None before the first answer.
        """
        answered = self._answered
        if answered is None:
            return None
        pictures = (entry.picture for entry in self._entries.values())
        waiting = (one for one in pictures if one is not None and one.version > answered.version)
        first = next(waiting, None)
        if first is None or now_s - first.arrived_s <= _allowed_behind_s(answered):
            return None
        return now_s - first.arrived_s

    def find(self, version: int) -> Picture | None:
        """A picture that is still kept."""
        for entry in reversed(self._entries.values()):
            if entry.picture is not None and entry.picture.version == version:
                return entry.picture
        return None

    def frames_per_s(self, *, now_s: float) -> float:
        """Rate of acquisition over the last seconds, by sequence numbers, so that skipped frames count."""
        session = self._arrivals[-1][1][0] if self._arrivals else ""
        recent = [
            (arrived_s, sequence)
            for arrived_s, (of_session, sequence) in self._arrivals
            if of_session == session and now_s - arrived_s <= _RATE_WINDOW_S
        ]
        if len(recent) < 2 or recent[-1][0] <= recent[0][0]:
            return 0.0
        return (recent[-1][1] - recent[0][1]) / (recent[-1][0] - recent[0][0])

    def latency_s(self) -> tuple[float, float] | None:
        """p50 and p99 of the edge's latency over the course; None before the first answer."""
        if not self._course:
            return None
        p50, p99 = np.percentile([point.latency_s for point in self._course], (50, 99))
        return float(p50), float(p99)

    def _entry(self, key: _Key) -> _Entry:
        return self._entries.setdefault(key, _Entry())

    def _count_skipped(self, key: _Key) -> None:
        if self._arrivals:
            session, sequence = self._arrivals[-1][1]
            if session == key[0]:
                self.skipped_frames += max(0, key[1] - sequence - 1)

    def _join(self, entry: _Entry) -> None:
        picture = entry.picture
        if picture is not None and entry.class_map is not None:
            picture.class_map_header, picture.class_map = entry.class_map
            if self._answered is None or picture.version > self._answered.version:
                self._answered = picture
        if picture is None or entry.answer is None:
            return
        picture.answer, picture.rows = entry.answer
        if self._answered is None or picture.version > self._answered.version:
            self._answered = picture
        if entry.deviation is not None:
            picture.deviation = entry.deviation
            if self._complete is None or picture.version > self._complete.version:
                self._complete = picture
        if not entry.counted:
            entry.counted = True
            self._course.append(_point(picture.frame, entry.truth, *entry.answer))

    def _evict(self) -> None:
        while len(self._entries) > 1 and (
            len(self._entries) > MAX_KEPT_FRAMES or self._kept_bytes > MAX_KEPT_BYTES
        ):
            _, entry = self._entries.popitem(last=False)
            if entry.picture is not None:
                self._kept_bytes -= entry.picture.frame.array.nbytes
            if entry.deviation is not None:
                self._kept_bytes -= entry.deviation.nbytes
            if entry.class_map is not None:
                self._kept_bytes -= entry.class_map[1].nbytes


def _allowed_behind_s(answered: Picture) -> float:
    return max(MAX_BEHIND_S, MAX_BEHIND_ANSWERS * answered.latency_s)


def _point(
    frame: Frame,
    truth: Frame | None,
    header: ResultHeader,
    rows: npt.NDArray[np.float32],
) -> CoursePoint:
    return CoursePoint(
        session=header.session,
        sequence=header.sequence,
        acquired_utc=header.acquired_utc,
        model_version=header.model_version,
        drift_score=header.drift_score,
        mean_uncertainty=header.mean_uncertainty,
        latency_s=header.latency_s,
        f1=_f1(frame, truth, header, rows),
    )


def _f1(
    frame: Frame,
    truth: Frame | None,
    header: ResultHeader,
    rows: npt.NDArray[np.float32],
) -> float | None:
    if truth is None or header.pixel_size_m is None:
        return None
    if truth.header.classes and set(header.classes).isdisjoint(truth.header.classes):
        return None
    ny, nx = frame.array.shape
    found = Detections.from_rows(rows)
    return score_frame(
        found,
        truth.array.astype(np.float32),
        n_classes=len(header.classes),
        pixel_size_m=header.pixel_size_m,
        shape=(ny, nx),
    ).f1
