"""What is said of a service whose answer is not understood."""

from __future__ import annotations

from eucentric_core import TransportError

__all__ = ["another_version"]


def another_version(who: str, *, safe: str = "nothing was changed.") -> TransportError:
    """The error.

    Args:
        who: answered, such as `edge edge-1`.
        safe: what is safe.
    """
    return TransportError(
        f"The {who} answers in a way this dashboard does not understand.",
        safe=safe,
        next_step="install the same version of Eucentric on both machines.",
    )
