"""A folder as an instrument: picks up the finished files of a microscope that has no interface."""

from __future__ import annotations

from ._instrument import WatchfolderInstrument
from ._options import WatchfolderOptions

__all__ = ["WatchfolderInstrument", "WatchfolderOptions"]
