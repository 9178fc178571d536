"""Why a file is not imported."""

from __future__ import annotations

from eucentric_core import ConfigurationError, DataFormatError

__all__ = ["ImportConflictError", "UncalibratedError", "refuse", "uncalibrated"]

_SAFE = "nothing of the file was recorded."
_SAFE_AND_SURE = "nothing of the file was recorded; nothing is guessed."


class UncalibratedError(DataFormatError):
    """A file does not say, or contradicts itself about, how large a pixel or a channel is."""

    code = "uncalibrated"


class ImportConflictError(ConfigurationError):
    """The session cannot take this file."""

    code = "import_conflict"


def refuse(name: str, problem: str, next_step: str) -> DataFormatError:
    """The error for a file whose content cannot become frames."""
    return DataFormatError(f"{name}: {problem}.", safe=_SAFE, next_step=next_step)


def uncalibrated(name: str, problem: str, next_step: str) -> UncalibratedError:
    """The error for a signal whose axes are not certain."""
    return UncalibratedError(
        f"{name}: {problem}.", safe=f"{_SAFE[:-1]}; nothing is guessed.", next_step=next_step
    )
