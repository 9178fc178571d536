"""A SIMULATED Nion microscope: Nion Swift's simulator, with the digital twin's specimen behind its scan."""

from __future__ import annotations

from ._options import UsimOptions
from ._usim import UsimInstrument

__all__ = ["UsimInstrument", "UsimOptions"]
