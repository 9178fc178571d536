"""Following something until it has ended, through broken links and restarted services."""

from __future__ import annotations

import time

from eucentric_core import EucentricError, TransportError

from ..display import StatusLine, status_line
from ._reading import ProgressSource, Reading

__all__ = ["NotFollowedError", "follow"]


class NotFollowedError(EucentricError):
    """Nobody answered for longer than somebody wanted to wait. What was followed may well go on."""

    code = "not_followed"


def follow(
    source: ProgressSource,
    *,
    every_s: float = 0.5,
    patience_s: float = 600.0,
    line: StatusLine | None = None,
) -> Reading:
    """Show how far something is until it has ended.

    A broken link is said, with its age, and not an end: what is followed is on record where it happens, and
    is asked for again until somebody answers. Interrupting this stops the looking, not what is looked at;
    following it again later goes on where it then is.

    Args:
        source: what to follow.
        every_s: time between two looks (s).
        patience_s: longest time without any answer (s).
        line: where to show it; by default this notebook's cell or this terminal.

    Returns:
        The last reading, which is `over`.

    Raises:
        NotFollowedError: no answer for `patience_s`.
        EucentricError: there is nothing of this name.
    """
    shown = line or status_line()
    heard_s, last = time.monotonic(), Reading("not heard of yet", False)
    try:
        while True:
            try:
                last = source.read()
            except TransportError as error:
                silent_s = time.monotonic() - heard_s
                if silent_s > patience_s:
                    raise NotFollowedError(
                        f"{source.name}: no answer for {silent_s:.0f} s. Last heard: {last.said}.",
                        safe="it does not depend on this program and may go on.",
                        next_step="follow it again when the link is back.",
                    ) from error
                said = f"{source.name}: {last.said}; no answer for {silent_s:.0f} s, trying on"
                _show(shown, said, last.share)
            else:
                heard_s = time.monotonic()
                if last.over:
                    if shown is not None:
                        shown.end(f"{source.name}: {last.said}")
                    return last
                _show(shown, f"{source.name}: {last.said}", last.share)
            time.sleep(every_s)
    finally:
        source.close()


def _show(shown: StatusLine | None, text: str, share: float | None) -> None:
    if shown is not None:
        shown.show(text, share)
