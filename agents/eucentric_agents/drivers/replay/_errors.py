"""Why a recording cannot be replayed."""

from __future__ import annotations

from eucentric_core import ConfigurationError, DataFormatError

__all__ = ["UnknownPixelSizeError", "refuse"]


class UnknownPixelSizeError(ConfigurationError):
    """Neither a recording nor the settings say how large a pixel is."""

    code = "unknown_pixel_size"


def refuse(name: str, problem: str, next_step: str = "choose another file.") -> DataFormatError:
    """The error for a file that cannot be replayed."""
    return DataFormatError(f"{name}: {problem}.", safe="nothing was replayed.", next_step=next_step)
