"""Whether a limit is the local file's, the instrument's own, or tighter than both. Pure decisions."""

from __future__ import annotations

from typing import Any

from ._finding import Finding, Origin
from ._limits import Limits

__all__ = ["origin_of"]

_KEEP_OUT = "stage.keep_out."


def origin_of(finding: Finding, limits: Limits, *, file: Limits, own: Limits) -> Origin | None:
    """Where the limit of a finding comes from; None where it is no limit that anybody has set.

    Args:
        finding: its `interlock` is the key of the limit, such as `stage.x_m`.
        limits: the limits in force.
        file: the limits before any tightening: the file's, within the instrument's own.
        own: the instrument's own.
    """
    now, before, declared = (_value(each, finding.interlock) for each in (limits, file, own))
    if now is None:
        return None
    if not _holds(now, before, finding.limit):
        return "tightening"
    return "instrument" if _holds(now, declared, finding.limit) else "file"


def _holds(now: Any, other: Any, limit: float | None) -> bool:
    """Whether the limit that was hit stood in the other limits already."""
    if isinstance(now, tuple) and other is not None:
        # Of a range only one end was hit, and each may come from elsewhere.
        ends = [at for at, end in enumerate(now) if end == limit] or range(len(now))
        return all(now[at] == other[at] for at in ends)
    return bool(now == other)


def _value(limits: Limits, key: str) -> Any:
    if key.startswith(_KEEP_OUT):
        boxes = {box.name: box for box in limits.stage.keep_out}
        return boxes.get(key.removeprefix(_KEEP_OUT))
    section, _, name = key.partition(".")
    return getattr(getattr(limits, section, None), name, None) if name else None
