"""What a trigger remembers from one moment to the next."""

from __future__ import annotations

from eucentric_core import FrozenModel, UtcDatetime

__all__ = ["Memory", "Sample", "within"]

_MOST_SAMPLES = 512


class Sample(FrozenModel):
    """A quantity that arrived at a time."""

    at_utc: UtcDatetime
    value: float


class Memory(FrozenModel):
    """Plain JSON, so that it outlives the service; each kind of trigger uses the fields that it needs.

    Attributes:
        samples: of what is counted, oldest first.
        since_utc: since when something holds, or until when something was looked at.
        occurrence: what began it.
        version: of the model that `reference` belongs to.
        reference: the figure to compare with.
        children: of a compound's triggers, in their order.
        met_utc: when each of a compound's triggers was met last.
    """

    samples: tuple[Sample, ...] = ()
    since_utc: UtcDatetime | None = None
    occurrence: str | None = None
    version: int | None = None
    reference: float | None = None
    children: tuple[Memory, ...] = ()
    met_utc: tuple[UtcDatetime | None, ...] = ()


def within(samples: tuple[Sample, ...], sample: Sample, window_s: float) -> tuple[Sample, ...]:
    """The samples and one more, in order of time, without those that lie `window_s` before the newest.

    Their number is bounded: beyond it the two oldest are taken together, which lets them go a little late.
    """
    ordered = sorted((*samples, sample), key=lambda each: each.at_utc)
    newest = ordered[-1].at_utc
    kept = [each for each in ordered if (newest - each.at_utc).total_seconds() <= window_s]
    while len(kept) > _MOST_SAMPLES:
        first, second = kept[:2]
        kept[:2] = [Sample(at_utc=second.at_utc, value=first.value + second.value)]
    return tuple(kept)
