"""A challenger on the same frames: it is compared with the champion, and never answers."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from eucentric_core import EucentricError, Frame

from ._serving_model import FrameAnswer, ServingModel

__all__ = ["Shadow", "agreement"]

_WINDOW_FRAMES = 200
_NEAR_PX = 3.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Compared:
    agreement: float
    drift_score: float
    champion_drift_score: float
    entropy_ratio: float
    champion_entropy_ratio: float
    took_s: float


class Shadow:
    """Runs a challenger beside the champion, on the newest frame only and within a share of the time.

    The champion hands over a frame after its answer is published and never waits. After each frame the
    challenger rests until it has used no more than `share` of one processor, so that is what it can cost.

    Args:
        share: of the time that the challenger may be computing, 0 to 0.5.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._changed = threading.Condition()
        self._challenger: ServingModel | None = None
        self._waiting: tuple[Frame, FrameAnswer] | None = None
        self._compared: deque[_Compared] = deque(maxlen=_WINDOW_FRAMES)
        self._seen = 0
        self._failed = 0
        self._last_failure: str | None = None
        self._stopping = False

    def challenge(self, model: ServingModel | None) -> None:
        """Compare with this model from now on; None for no longer."""
        with self._changed:
            self._challenger, self._waiting = model, None
            self._compared.clear()
            self._seen, self._failed, self._last_failure = 0, 0, None
            self._changed.notify_all()

    def answered(self, frame: Frame, answer: FrameAnswer) -> None:
        """The champion answered a frame. Returns at once; an older frame that still waits is forgotten."""
        with self._changed:
            if self._challenger is None or self._waiting is not None:
                return
            # The array may lie in memory that goes back to the sender.
            self._waiting = (Frame(frame.header, frame.array.copy()), answer)
            self._changed.notify_all()

    def run(self) -> None:
        """Compare until `stop`."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._waiting is not None)
                if self._stopping:
                    return
                taken, challenger = self._waiting, self._challenger
            if taken is None or challenger is None:
                continue
            took_s = self._compare(challenger, *taken)
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopping, timeout=min(60.0, took_s * (1 / self._share - 1))
                )
                self._waiting = None

    def stop(self) -> None:
        """Have `run` return."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def report(self) -> dict[str, JsonValue] | None:
        """How the challenger compares, over its last 200 frames; None without one."""
        with self._changed:
            challenger, compared = self._challenger, list(self._compared)
            counts = {"frames": self._seen, "failed": self._failed}
            failure = self._last_failure
        if challenger is None:
            return None
        means: dict[str, JsonValue] = {
            name: float(np.mean([getattr(each, name) for each in compared])) if compared else None
            for name in _Compared.__slots__
        }
        return {
            "model_version": challenger.manifest.version,
            "backend": challenger.backend,
            **counts,
            "last_failure": failure,
            **means,
        }

    def _compare(self, challenger: ServingModel, frame: Frame, champion: FrameAnswer) -> float:
        started_s = time.perf_counter()
        try:
            answer = challenger.answer(frame, received_s=started_s)
            compared = _Compared(
                agreement=agreement(champion.results[0][1], answer.results[0][1]),
                drift_score=answer.header.drift_score,
                champion_drift_score=champion.header.drift_score,
                entropy_ratio=answer.entropy_ratio,
                champion_entropy_ratio=champion.entropy_ratio,
                took_s=time.perf_counter() - started_s,
            )
        except EucentricError as error:
            _log.warning("the challenger failed on frame %d: %s", frame.header.sequence, error)
            with self._changed:
                self._seen, self._failed, self._last_failure = self._seen + 1, self._failed + 1, error.what
        else:
            with self._changed:
                # A challenger that was replaced meanwhile is not judged by frames of the one before.
                if challenger is self._challenger:
                    self._seen += 1
                    self._compared.append(compared)
        return time.perf_counter() - started_s


def agreement(ours: NDArray[np.generic], theirs: NDArray[np.generic]) -> float:
    """How far two models say the same, from 0 to 1.

    Args:
        ours: (n, 4) rows of `DETECTION_COLUMNS`, or any array of numbers.
        theirs: the same kind of array of the other model.

    Returns:
        Of detections the F1 of one by the other: of the same class, within 3 pixels, each counted once.
        Of other arrays of one shape the share of values within 5 % of the range of ours; 0 of different ones.
    """
    if ours.ndim == theirs.ndim == 2 and ours.shape[1] == theirs.shape[1] == 4:
        return _f1(ours.astype(np.float64), theirs.astype(np.float64))
    if ours.shape != theirs.shape:
        return 0.0
    if not ours.size:
        return 1.0
    left, right = ours.astype(np.float64), theirs.astype(np.float64)
    return float((np.abs(left - right) <= 0.05 * max(float(np.ptp(left)), 1e-12)).mean())


def _f1(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    if not len(ours) and not len(theirs):
        return 1.0
    # In cells as wide as the reach only the nine around a point can hold its partner.
    cells: dict[tuple[int, int], list[int]] = {}
    for index, (y, x) in enumerate(theirs[:, :2]):
        cells.setdefault((int(y // _NEAR_PX), int(x // _NEAR_PX)), []).append(index)
    free = np.ones(len(theirs), bool)
    matched = 0
    for y, x, kind, _ in ours:
        row, column = int(y // _NEAR_PX), int(x // _NEAR_PX)
        near = [
            (float(np.hypot(theirs[index, 0] - y, theirs[index, 1] - x)), index)
            for r in (row - 1, row, row + 1)
            for c in (column - 1, column, column + 1)
            for index in cells.get((r, c), ())
            if free[index] and theirs[index, 2] == kind
        ]
        if near and min(near)[0] <= _NEAR_PX:
            free[min(near)[1]] = False
            matched += 1
    return 2 * matched / (len(ours) + len(theirs))
