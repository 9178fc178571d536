"""What in a Python process makes one frame slower than the next, put aside."""

from __future__ import annotations

import gc
import sys

from threadpoolctl import threadpool_limits

__all__ = ["keep_steady"]

_SWITCH_INTERVAL_S = 1e-4


def keep_steady(*, threads: int) -> None:
    """Set this process up for even times of its frames; once, when everything is loaded.

    - A thread that computes in Python keeps the interpreter for 0.1 ms at most, not 5 ms. A frame lets go of
      it for each array that it computes and sends, and would wait that long each time.
    - Matrix products of NumPy use `threads` too, not a thread on each processor: small ones are no faster for
      it, and wait for a thread whose processor somebody else has at the moment.
    - What is loaded by now stays, so the garbage collector looks at it no more.

    Args:
        threads: CPU threads that one frame may use.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    threadpool_limits(threads, user_api="blas")
    gc.collect()
    gc.freeze()
