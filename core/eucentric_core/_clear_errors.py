"""What a failure looks like on the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ._errors import EucentricError

__all__ = ["clear_errors"]

_EXIT_FAILED = 2


@contextmanager
def clear_errors() -> Iterator[None]:
    """Show an error of this project as three lines on stderr, without a traceback.

    Raises:
        SystemExit: with status 2, after an `EucentricError`.
    """
    try:
        yield
    except EucentricError as error:
        sys.stderr.write(f"error: {error.what}\n  safe: {error.safe}\n  next: {error.next_step}\n")
        raise SystemExit(_EXIT_FAILED) from error
