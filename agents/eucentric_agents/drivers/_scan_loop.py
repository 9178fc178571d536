"""Taking one frame or many, stopping at any moment, and saying why a scan ended by itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from eucentric_core import BusyError, ErrorReport, EucentricError

from ._errors import ScanAbortedError

__all__ = ["ScanLoop"]

_STOP_TIMEOUT_S = 70.0
"""Longest wait for the last frame: a sink may hold a frame back for 60 s."""

_Result = TypeVar("_Result")

_log = logging.getLogger(__name__)


class ScanLoop:
    """Runs `take_frame` once, or again and again on a thread of its own.

    Args:
        take_frame: acquires one frame and hands it to the sink; returns its sequence number.
    """

    def __init__(self, take_frame: Callable[[], int]) -> None:
        self._take_frame = take_frame
        self._aborted = threading.Event()
        self._scanning = threading.Lock()
        self._thread: threading.Thread | None = None
        self._fault: ErrorReport | None = None
        self._announce: Callable[[], None] = lambda: None

    def announce_scans(self, announce: Callable[[], None]) -> None:
        """Call `announce` whenever a scan or exposure begins, before its first frame."""
        self._announce = announce

    @property
    def scanning(self) -> bool:
        """Whether a frame is being taken or more are to come."""
        return self._scanning.locked()

    @property
    def fault(self) -> ErrorReport | None:
        """Why the last scan failed, if it did."""
        return self._fault

    def acquire(self) -> int:
        """Take one frame on the calling thread and return its sequence number.

        Raises:
            BusyError: a scan is running.
        """
        return self.occupy(self._take_frame)

    def occupy(self, work: Callable[[], _Result]) -> _Result:
        """Do something on the calling thread that cannot go on beside a scan; `pause` tells it of an abort.

        Raises:
            BusyError: a scan is running.
        """
        self._begin()
        try:
            return work()
        finally:
            self._scanning.release()

    def start(self, *, max_frames: int | None, max_frames_per_s: float | None) -> None:
        """Take frames until aborted, or `max_frames` of them, at no more than `max_frames_per_s`.

        Raises:
            BusyError: a scan is running.
        """
        self._begin()
        period_s = 0.0 if max_frames_per_s is None else 1.0 / max_frames_per_s
        self._thread = threading.Thread(
            target=self._run, args=(max_frames, period_s), name="scan", daemon=True
        )
        self._thread.start()

    def abort(self) -> None:
        """Take no more frames; returns at once, from any thread."""
        self._aborted.set()

    def stop(self) -> None:
        """Abort, and wait until the last frame has left.

        Raises:
            BusyError: the last frame is held back for too long.
        """
        self.abort()
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        thread.join(timeout=_STOP_TIMEOUT_S)
        if thread.is_alive():
            raise BusyError(
                f"The scan has not ended within {_STOP_TIMEOUT_S:g} s: its last frame is being held back.",
                safe="the beam can be blanked; no further frame will be taken.",
                next_step="see the log of the data service: a recorder or disk is not keeping up.",
            )

    def pause(self, duration_s: float) -> bool:
        """Wait, but not beyond an abort. Returns whether the scan was aborted."""
        return self._aborted.wait(duration_s)

    def _begin(self) -> None:
        if not self._scanning.acquire(blocking=False):
            raise BusyError(
                "A scan is running.",
                safe="it goes on unchanged; nothing was queued.",
                next_step="abort it first (scan.abort).",
            )
        self._fault = None
        self._aborted.clear()
        self._announce()

    def _run(self, max_frames: int | None, period_s: float) -> None:
        taken = 0
        due = time.monotonic()
        try:
            while (max_frames is None or taken < max_frames) and not self._aborted.is_set():
                self._take_frame()
                taken += 1
                due = max(due + period_s, time.monotonic() - period_s)
                self._aborted.wait(max(0.0, due - time.monotonic()))
        except ScanAbortedError:
            _log.info("scan aborted after %d frames", taken)
        except EucentricError as error:
            _log.error("scan ended after %d frames: %s", taken, error)
            self._fault = error.report()
        except Exception as error:  # noqa: BLE001
            # The outermost frame of the scan thread: whatever ended the scan must be visible in the state.
            _log.exception("scan ended after %d frames", taken)
            self._fault = ErrorReport(
                code="scan",
                what=f"The scan failed in an unforeseen way: {error!r}.",
                safe="no further frame is taken; blank the beam if it is on.",
                next_step="see the agent's log.",
            )
        finally:
            self._scanning.release()
