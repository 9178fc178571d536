"""Bulk data hold themselves back below the rate of the link, so that control finds its queues short."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Hashable
from pathlib import Path

from .._errors import ConfigurationError, TransportError
from .._model import FrozenModel
from .._settings_link import LinkMode, LinkSettings
from ._pacing_adaptive import AdaptiveRate
from ._pacing_bucket import FairQueue, TokenBucket
from ._pacing_measured import read_link_measurement

__all__ = ["UNPACED", "Pacer", "PacerStatus", "open_pacer"]

_BURST_S = 0.002
_PIECE_S = 0.001
_MIN_PIECE_BYTES = 4 << 10
_MAX_PIECE_BYTES = 256 << 10
_START_BYTES_S = 100e6 / 8
_SLICE_S = 0.05
_KERNEL_HEADROOM, _KERNEL_STEP = 1.02, 1.05


class PacerStatus(FrozenModel):
    """What a pacer does.

    Args:
        mode: how it finds its rate.
        rate_bit_s: the present rate; None when nothing is held back.
        taken_bytes: granted so far.
        held_back_s: time that senders have waited, summed over senders.
        waiting: senders that wait now.
        base_rtt_s: shortest round trip known (adaptive).
        queueing_s: how long packets wait on the way now (adaptive); None when nothing was heard lately.
    """

    mode: LinkMode
    rate_bit_s: float | None
    taken_bytes: int
    held_back_s: float
    waiting: int
    base_rtt_s: float | None = None
    queueing_s: float | None = None


class Pacer:
    """Grants bytes to everything in this process that sends bulk data off the machine.

    Thread-safe. Grants are fair in bytes among the shares that wait (see `share`). Take in pieces of
    `piece_bytes`: what is taken at once goes out at once, and stands in the queue of the narrowest place.

    Args:
        rate: bytes per second, a controller, or None to hold nothing back.
        mode: for the status.
    """

    def __init__(self, rate: float | AdaptiveRate | None, *, mode: LinkMode) -> None:
        self._rate = rate
        self._mode = mode
        self._queue = FairQueue(TokenBucket(_BURST_S))
        self._lock = threading.Lock()
        self._taken_bytes = 0
        self._held_back_s = 0.0
        self._refused_at_s: dict[int, float] = {}

    @property
    def rate_bytes_s(self) -> float | None:
        """The present rate; None when nothing is held back."""
        return self._rate.bytes_s if isinstance(self._rate, AdaptiveRate) else self._rate

    @property
    def kernel_rate_bytes_s(self) -> float | None:
        """For `kernel_pace`: a little above the rate, in steps, so that it is seldom said again.

        At the rate itself what is granted would pile up in the socket, because headers and keys take some.
        """
        rate_bytes_s = self.rate_bytes_s
        if rate_bytes_s is None:
            return None
        steps = math.ceil(math.log(rate_bytes_s * _KERNEL_HEADROOM, _KERNEL_STEP))
        return float(_KERNEL_STEP**steps)

    @property
    def piece_bytes(self) -> int:
        """How much to take at a time: about a millisecond of the rate."""
        rate_bytes_s = self.rate_bytes_s
        if rate_bytes_s is None:
            return _MAX_PIECE_BYTES
        return int(min(max(rate_bytes_s * _PIECE_S, _MIN_PIECE_BYTES), _MAX_PIECE_BYTES))

    def share(self, name: str) -> Pacer:
        """The same pacer for all threads of one purpose: together they get as much as one other share.

        Without it every thread that takes is a share of its own.
        """
        return self if self._rate is None else _Share(self, name)

    def try_take(self, n_bytes: int) -> float:
        """0.0 when `n_bytes` may be sent now, or how long to wait before asking again (s)."""
        return self._try_take(n_bytes, None)

    def _try_take(self, n_bytes: int, share: str | None) -> float:
        now_s, who = time.monotonic(), threading.get_ident()
        with self._lock:
            wait_s = self._ask((who, share), n_bytes, now_s, share)
            if wait_s > 0:
                self._refused_at_s.setdefault(who, now_s)
            elif (since_s := self._refused_at_s.pop(who, None)) is not None:
                self._held_back_s += now_s - since_s
        return wait_s

    def take(self, n_bytes: int, stopping: threading.Event | None = None) -> None:
        """Wait until `n_bytes` may be sent.

        Raises:
            TransportError: `stopping` was set meanwhile; nothing was taken.
        """
        if self._rate is None:
            self._taken_bytes += n_bytes
            return
        self._take(n_bytes, stopping, None)

    def _take(self, n_bytes: int, stopping: threading.Event | None, share: str | None) -> None:
        while (wait_s := self._try_take(n_bytes, share)) > 0:
            if stopping is not None and stopping.is_set():
                who = threading.get_ident()
                with self._lock:
                    self._queue.leave((who, share))
                    self._refused_at_s.pop(who, None)
                raise TransportError(
                    "Sending was stopped while it waited for its share of the link.",
                    safe="nothing of this piece was sent.",
                    next_step="send again when the service runs again.",
                )
            # Not an event's wait: on Windows that one wakes 16 ms late, this one does not.
            time.sleep(min(wait_s, _SLICE_S))

    def observe_rtt(self, rtt_s: float, source: Hashable = None) -> None:
        """A round trip over the link to `source` took `rtt_s`; each place has its own shortest one."""
        if isinstance(self._rate, AdaptiveRate) and math.isfinite(rtt_s) and rtt_s > 0:
            with self._lock:
                self._rate.observe(time.monotonic(), rtt_s, source)

    def status(self) -> PacerStatus:
        """What it does now."""
        with self._lock:
            rate_bytes_s = self.rate_bytes_s
            adaptive = self._rate if isinstance(self._rate, AdaptiveRate) else None
            return PacerStatus(
                mode=self._mode,
                rate_bit_s=None if rate_bytes_s is None else rate_bytes_s * 8,
                taken_bytes=self._taken_bytes,
                held_back_s=self._held_back_s,
                waiting=self._queue.waiting,
                base_rtt_s=adaptive.base_rtt_s if adaptive else None,
                queueing_s=adaptive.queueing_s(time.monotonic()) if adaptive else None,
            )

    def _ask(self, who: Hashable, n_bytes: int, now_s: float, share: str | None) -> float:
        rate_bytes_s = self.rate_bytes_s
        wait_s = 0.0
        if rate_bytes_s is not None:
            wait_s = self._queue.ask(who, n_bytes, now_s, rate_bytes_s, share=share)
        if wait_s == 0:
            self._taken_bytes += n_bytes
            if isinstance(self._rate, AdaptiveRate):
                self._rate.took(n_bytes)
        return wait_s


class _Share(Pacer):
    # Everything is the whole's but the name under which it takes.
    def __init__(self, whole: Pacer, name: str) -> None:
        self._whole = whole
        self._name = name
        self._rate, self._mode = whole._rate, whole._mode

    def share(self, name: str) -> Pacer:
        return self._whole.share(name)

    def try_take(self, n_bytes: int) -> float:
        return self._whole._try_take(n_bytes, self._name)

    def take(self, n_bytes: int, stopping: threading.Event | None = None) -> None:
        self._whole._take(n_bytes, stopping, self._name)

    def observe_rtt(self, rtt_s: float, source: Hashable = None) -> None:
        self._whole.observe_rtt(rtt_s, source)

    def status(self) -> PacerStatus:
        return self._whole.status()


UNPACED = Pacer(None, mode="off")
"""Never holds back: for what stays on the machine."""


def open_pacer(link: LinkSettings, *, home: Path | None = None) -> Pacer:
    """The pacer of this process.

    Args:
        link: what the machine was told about its link.
        home: where `eucentric doctor --link` has remembered what it measured.

    Raises:
        ConfigurationError: the mode is `measured` and nothing was.
    """
    mode = link.mode
    if mode == "auto":
        mode = "off" if link.honours == "dscp" else "adaptive"
    if mode == "off":
        return UNPACED
    line_bit_s = link.line_rate_bit_s
    if mode == "measured" or line_bit_s is None:
        remembered = None if home is None else read_link_measurement(home)
        line_bit_s = None if remembered is None else remembered.line_rate_bit_s
    if mode == "measured" and line_bit_s is None:
        raise ConfigurationError(
            "Bulk data are to be held at the measured rate of the link, and none was measured.",
            safe="nothing was sent.",
            next_step="run `eucentric doctor --link HOST` here, or choose another link.mode.",
        )
    highest_bit_s = min(
        math.inf if line_bit_s is None else line_bit_s * link.fraction,
        math.inf if link.max_rate_bit_s is None else link.max_rate_bit_s,
    )
    if mode in ("fixed", "measured"):
        return Pacer(highest_bit_s / 8, mode=mode)
    adaptive = AdaptiveRate(
        start_bytes_s=_START_BYTES_S if math.isinf(highest_bit_s) else highest_bit_s / 8,
        min_bytes_s=link.min_rate_bit_s / 8,
        max_bytes_s=highest_bit_s / 8,
    )
    return Pacer(adaptive, mode=mode)
