"""What is the same about every vendor's detectors: names, streams, which one scans, how long it may take."""

from __future__ import annotations

import re
from collections.abc import Sequence

from eucentric_core import CommandRefusedError, ConfigurationError
from eucentric_core.vocabulary import ScanAcquire, ScanStream

from ._errors import VendorCallError

__all__ = [
    "check_square",
    "chosen_detector",
    "portable_name",
    "refuse_longer_than",
    "require_told",
    "stream_name",
]

_TOLD_WITHIN = 0.01


def portable_name(vendor_name: str) -> str:
    """A detector's name as an `Identifier`."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", vendor_name).strip("-._")[:60] or "detector"


def stream_name(vendor_name: str) -> str:
    """Name of the stream that a detector's frames go to."""
    return re.sub(r"^[^a-z]+", "", portable_name(vendor_name).lower()) or "detector"


def chosen_detector(names: Sequence[str], wanted: str | None) -> str | None:
    """The scanning detector to use; None if there is none.

    Raises:
        ConfigurationError: the wanted one does not exist, or there are several and none was chosen.
    """
    if wanted is not None and wanted not in names:
        raise _undecided(f"There is no scanning detector {wanted!r}", names)
    if wanted is not None or not names:
        return wanted
    haadf = [name for name in names if name.casefold() == "haadf"]
    if haadf or len(names) == 1:
        return (haadf or list(names))[0]
    raise _undecided(f"There are {len(names)} scanning detectors and none is called HAADF", names)


def check_square(command: ScanAcquire | ScanStream, sides_px: Sequence[int]) -> None:
    """Refuse a frame that is not square, or of a side that the instrument does not have.

    Raises:
        CommandRefusedError: names the sides there are.
    """
    if command.height_px != command.width_px or command.width_px not in sides_px:
        raise CommandRefusedError(
            f"This instrument does not scan {command.height_px} x {command.width_px} pixels.",
            safe="nothing was scanned.",
            next_step=f"scan a square of {', '.join(map(str, sorted(sides_px)))} pixels a side.",
        )


def refuse_longer_than(limit_s: float, duration_s: float) -> None:
    """Refuse an acquisition during which the beam could not be blanked in time.

    Raises:
        CommandRefusedError: it takes longer than the limit.
    """
    if duration_s > limit_s:
        raise CommandRefusedError(
            f"An acquisition of {duration_s:.3g} s is over this instrument's limit of {limit_s:g} s, "
            "because the beam could not be blanked meanwhile.",
            safe="nothing was acquired.",
            next_step="take fewer pixels, a shorter dwell time or exposure, and sum frames.",
        )


def require_told(what: str, told: float, reported: float) -> None:
    """Compare a setting that was told with the one that the vendor reports: some clip without a word.

    Raises:
        VendorCallError: they differ by more than 1 %.
    """
    if abs(reported - told) > _TOLD_WITHIN * abs(told):
        raise VendorCallError(
            f"The {what} was set to {told:g} and is reported as {reported:g}.",
            safe="nothing was acquired.",
            next_step="choose a value that the instrument can do.",
        )


def _undecided(problem: str, names: Sequence[str]) -> ConfigurationError:
    return ConfigurationError(
        f"{problem}.",
        safe="nothing was moved.",
        next_step=f"set agent.driver.scan_detector to one of {', '.join(names) or 'none: there is none'}.",
    )
