"""A frame as a picture, in a notebook."""

from __future__ import annotations

import base64
import html

from eucentric_core import Frame, UnsupportedError

from ._card import escaped
from ._measurement import Measurement

__all__ = ["frame_card"]

_MOST_PIXELS = 4096 * 4096


def frame_card(frame: Frame) -> str:
    """A frame as HTML: what it is, and its picture where it has one and matplotlib is installed."""
    shown = frame if isinstance(frame, Measurement) else Measurement(frame.header, frame.array)
    head = shown.header
    facts = f"{escaped(shown.title)}: {head.dtype} {list(head.shape)}, {head.acquired_utc:%H:%M:%S} UTC"
    if frame.array.ndim not in (1, 2) or not 0 < frame.array.size <= _MOST_PIXELS:
        return f"<p>{facts}</p>"
    try:
        picture = base64.b64encode(shown.to_png()).decode()
    except UnsupportedError:
        return f"<p>{facts}</p>"
    return f'<p>{facts}</p><img alt="{html.escape(shown.title)}" src="data:image/png;base64,{picture}"/>'
