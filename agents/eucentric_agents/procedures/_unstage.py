"""The way out of a procedure: beam blanked, scan stopped, probe parked, whatever ended it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from eucentric_core import EucentricError, Microscope

from ._errors import BlankingFailedError

__all__ = ["unstage", "unstaged"]

_log = logging.getLogger(__name__)

_BLANKING_ATTEMPTS = 2
_PARKED = {"y_fraction": 0.0, "x_fraction": 0.0}


def unstage(scope: Microscope, ended_by: BaseException | None = None) -> None:
    """Blank the beam, stop scanning, park the probe in the corner where the instrument can.

    All of it is tried, whatever fails.

    Args:
        scope: the microscope.
        ended_by: what ended the procedure, if anything did. What fails here after blanking worked is then
            noted on it.

    Raises:
        BlankingFailedError: the beam could not be blanked; `ended_by` is its cause, if there is one.
        EucentricError: blanking worked and something later failed after a procedure that had ended well.
    """
    blanking, interruptions = _blank(scope)
    verbs = scope.capabilities.verbs
    later = [
        _attempt("scan.abort", scope.abort_scan) if "scan.abort" in verbs else None,
        _attempt("beam.park", lambda: scope.park_beam(**_PARKED)) if "beam.park" in verbs else None,
    ]
    failed = interruptions + [error for error in later if error is not None]
    if blanking is not None:
        report = BlankingFailedError(
            f"The beam could not be blanked at the end of the procedure: {_short(blanking)}",
            safe="UNKNOWN: the beam may be on. The agent blanks it when the lease or the time limit ends.",
            next_step="blank the beam at the instrument, or with 'eucentric stop'.",
        )
        for error in (blanking, *failed):
            report.add_note(f"while unstaging: {error!r}")
        raise report from (ended_by if ended_by is not None else blanking)
    if ended_by is not None:
        for error in failed:
            ended_by.add_note(f"while unstaging: {error!r}")
    elif failed:
        raise failed[0]


@contextmanager
def unstaged(scope: Microscope) -> Iterator[None]:
    """Unstage at the end of the block, however it ends."""
    try:
        yield
    except BaseException as error:
        unstage(scope, error)
        raise
    unstage(scope)


def _blank(scope: Microscope) -> tuple[BaseException | None, list[BaseException]]:
    """Why the beam could not be blanked, if so; and what interrupted an attempt before one that worked."""
    interruptions: list[BaseException] = []
    failure = None
    for _number in range(_BLANKING_ATTEMPTS):
        failure = _attempt("beam.blank", scope.blank)
        if failure is None:
            break
        if not isinstance(failure, Exception):
            interruptions.append(failure)
    return failure, interruptions


def _short(error: BaseException) -> str:
    return error.what if isinstance(error, EucentricError) else repr(error)


def _attempt(verb: str, action: Callable[[], object]) -> BaseException | None:
    try:
        action()
    except BaseException as error:  # noqa: BLE001
        # Not even a second Ctrl-C may keep the next safety action from being tried; the caller raises.
        _log.error("%s failed while unstaging: %s", verb, error)
        return error
    return None
