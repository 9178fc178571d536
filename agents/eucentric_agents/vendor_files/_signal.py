"""What a vendor's reader found in a file: arrays with their axes as the file says them, and all metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

__all__ = ["VendorAxis", "VendorSignal"]


@dataclass(frozen=True, slots=True)
class VendorAxis:
    """One dimension of an array, exactly as the file gives it. `scale` is NaN where the file has no number.

    `navigate` is the reader's opinion whether it is one over which the measurement was repeated.
    """

    name: str
    unit: str | None
    scale: float
    offset: float
    navigate: bool


@dataclass(frozen=True, slots=True)
class VendorSignal:
    """One signal of a file.

    Attributes:
        data: the array, in the file's own dtype.
        axes: one for each dimension, in the order of the array.
        title: what the file calls it, perhaps empty.
        signal_type: HyperSpy's name of the kind (`EELS`, `EDS_TEM`, `diffraction`), perhaps empty.
        reader: name of the reader that understood the file.
        metadata: in HyperSpy's vocabulary, plain JSON.
        original_metadata: as the vendor wrote it, plain JSON.
        remark: why an axis has no unit though the reader gave it one, perhaps empty.
    """

    data: NDArray[Any]
    axes: tuple[VendorAxis, ...]
    title: str
    signal_type: str
    reader: str
    metadata: dict[str, Any] = field(default_factory=dict)
    original_metadata: dict[str, Any] = field(default_factory=dict)
    remark: str = ""
