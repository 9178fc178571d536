"""Files as vendors write them, read once for everybody: replay, watched folders, import.

RosettaSciIO (GPL) is imported in here only, and by name, so that nothing else needs it.
"""

from __future__ import annotations

from ._apart import ApartReader
from ._errors import VendorReaderError, refuse_file
from ._microscope import MicroscopeFacts, microscope_facts
from ._reader import KNOWN_SUFFIXES, is_whole_in_one_file, load_signals, reader_suffixes
from ._signal import VendorAxis, VendorSignal
from ._units import SiUnit, metres_per_unit, says_no_unit, si_unit

__all__ = [
    "KNOWN_SUFFIXES",
    "ApartReader",
    "MicroscopeFacts",
    "SiUnit",
    "VendorAxis",
    "VendorReaderError",
    "VendorSignal",
    "is_whole_in_one_file",
    "load_signals",
    "metres_per_unit",
    "microscope_facts",
    "reader_suffixes",
    "refuse_file",
    "says_no_unit",
    "si_unit",
]
