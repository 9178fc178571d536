"""Which frames cannot be part of a data set. Pure decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from eucentric_core import DataFormatError, Frame, FrameHeader
from eucentric_transfer import is_table

__all__ = ["POISON_KINDS", "Poison", "PoisonKind", "ScanShapes", "poison_in"]

PoisonKind = Literal[
    "malformed",
    "no_dimensions",
    "empty",
    "not_finite",
    "changed_shape",
    "too_many_shapes",
    "late",
    "refused",
]
POISON_KINDS: tuple[PoisonKind, ...] = (
    "malformed",
    "no_dimensions",
    "empty",
    "not_finite",
    "changed_shape",
    "too_many_shapes",
    "late",
    "refused",
)

_NEXT_STEP: dict[PoisonKind, str] = {
    "malformed": "check that driver and recorder are of compatible versions; header and bytes are kept.",
    "no_dimensions": "report this: the driver published a number as if it were an image.",
    "empty": "check the frame size that was asked for.",
    "not_finite": "if the values mark masked pixels, load the bytes with numpy as the reason file says, "
    "replace them and import the result.",
    "changed_shape": "begin a new scan when the frame size changes; the frame can be imported by itself.",
    "too_many_shapes": "check the driver's streams and frame sizes.",
    "late": "check why the source sent it so late; the frame can be imported by itself.",
    "refused": "see the reason; the frame can be imported by itself.",
}


@dataclass(frozen=True, slots=True)
class Poison:
    """Why a frame is set aside."""

    kind: PoisonKind
    what: str

    def error(self) -> DataFormatError:
        """The reason as an error, for the status, the event and the reason file."""
        return DataFormatError(
            self.what,
            safe="the frame is in the quarantine with its reason; the recording goes on.",
            next_step=_NEXT_STEP[self.kind],
            kind=self.kind,
        )


class ScanShapes:
    """Shape and dtype of each stream in the scan that is running."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, tuple[int, ...], str]] = {}

    def note(self, header: FrameHeader) -> None:
        """Remember what a frame that was accepted looks like."""
        if header.scan is not None:
            self._known[header.stream] = (header.scan, self._shape(header), header.dtype)

    def change(self, header: FrameHeader) -> str | None:
        """What changed within one scan, None if nothing did or the source does not tell scans apart."""
        known = self._known.get(header.stream)
        if header.scan is None or known is None or known[0] != header.scan:
            return None
        now = (self._shape(header), header.dtype)
        if known[1:] == now:
            return None
        return f"{known[2]}{list(known[1])} became {now[1]}{list(now[0])} in the middle of scan {header.scan}"

    @staticmethod
    def _shape(header: FrameHeader) -> tuple[int, ...]:
        return header.shape[1:] if is_table(header) else header.shape


def poison_in(frame: Frame, shapes: ScanShapes) -> Poison | None:
    """Why this frame cannot be part of a data set, None if it can."""
    header = frame.header
    name = f"Frame {header.sequence} of stream {header.stream!r}"
    if not header.shape:
        return Poison("no_dimensions", f"{name} is a single number.")
    if not frame.array.size and not is_table(header):
        return Poison("empty", f"{name} of shape {list(header.shape)} has no pixels.")
    if change := shapes.change(header):
        return Poison("changed_shape", f"{name}: {change}.")
    if np.issubdtype(frame.array.dtype, np.floating):
        bad = frame.array.size - int(np.count_nonzero(np.isfinite(frame.array)))
        if bad:
            return Poison("not_finite", f"{name} holds {bad} values that are NaN or infinite.")
    return None
