"""A signal of a file as frames that can be recorded: everything is checked, nothing is recorded yet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from eucentric_core import (
    MAX_FRAME_BYTES,
    MAX_VENDOR_METADATA_BYTES,
    Axis,
    Frame,
    FrameHeader,
    Optics,
    StagePosition,
)

from ..vendor_files import VendorSignal, microscope_facts
from ._calibration import calibrated_axes
from ._errors import UncalibratedError, refuse
from ._kinds import Kind, Layout, layout_of
from ._metadata import fitted
from ._numbers import require_finite, target_dtype
from ._options import ImportOptions

__all__ = ["LeftOut", "PlannedSignal", "plan_signals"]

_PIECE_BYTES = 64 << 20
"""A scan of more bytes than this is cut between its rows into frames."""

_DETECTORS = re.compile(r"(?<![a-z])(haadf|laadf|maadf|adf|abf|idpc|dpc|bf|df)(?![a-z])")
_HEADROOM_BYTES = 4096


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A signal that is not imported, and why."""

    title: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlannedSignal:
    """A signal that can be recorded. `array` is `(frames, ...)`, or a scan `(rows, ...)` to be cut."""

    name: str
    title: str
    stream: str
    kind: Kind
    dtype: str
    array: NDArray[Any]
    axes: tuple[Axis, ...]
    rows_per_frame: int | None
    optics: Optics
    stage: StagePosition
    acquired_utc: datetime | None
    metadata: dict[str, JsonValue]

    @property
    def frames(self) -> int:
        """How many frames it becomes."""
        return len(self._starts())

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole signal, in the order of a frame's axes; a series has its length in front."""
        return self.array.shape if self.rows_per_frame or len(self.array) > 1 else self.array.shape[1:]

    def _starts(self) -> range:
        return range(0, len(self.array), self.rows_per_frame or 1)

    def build(
        self, options: ImportOptions, *, first_sequence: int, acquired_utc: datetime, source: dict[str, Any]
    ) -> Iterator[Frame]:
        """The frames, numbered from `first_sequence`; `acquired_utc` where the file does not say when."""
        origin = {**source, **_as_dict(self.metadata["source"]), "first_sequence": first_sequence}
        metadata = fitted({**self.metadata, "source": origin}, MAX_VENDOR_METADATA_BYTES - _HEADROOM_BYTES)
        for number, start in enumerate(self._starts()):
            array, axes = self._piece(start)
            header = FrameHeader(
                instrument=options.instrument,
                session=options.session,
                stream=self.stream,
                sequence=first_sequence + number,
                acquired_utc=self.acquired_utc or acquired_utc,
                acquired_monotonic_s=0.0,
                shape=array.shape,
                dtype=self.dtype,
                simulated=options.simulated,
                axes=axes,
                optics=self.optics,
                stage=self.stage,
                dose_e_per_a2=None,
                sample=options.sample,
                material=options.material,
                vendor_metadata=metadata,
            )
            yield Frame(header, array)

    def _piece(self, start: int) -> tuple[NDArray[Any], tuple[Axis, ...]]:
        if self.rows_per_frame is None:
            return np.ascontiguousarray(self.array[start], self.dtype), self.axes
        first = self.axes[0]
        moved = first.model_copy(update={"offset": first.offset + first.scale * start})
        rows = self.array[start : start + self.rows_per_frame]
        return np.ascontiguousarray(rows, self.dtype), (moved, *self.axes[1:])


def plan_signals(
    file_name: str, signals: Sequence[VendorSignal], options: ImportOptions
) -> tuple[list[PlannedSignal], list[LeftOut]]:
    """Decide what of a file becomes which frames.

    Returns:
        What is recorded, and what is left out because it was not asked for or is not calibrated.

    Raises:
        UncalibratedError: a signal is not calibrated, and was not to be left out.
        DataFormatError: nothing of the file was asked for, or a signal cannot become frames.
    """
    chosen = [(i, s) for i, s in enumerate(signals) if not options.signals or s.title in options.signals]
    titles = ", ".join(repr(signal.title) for signal in signals[:24])
    if not chosen:
        raise refuse(file_name, f"it holds none of the signals asked for, only {titles}", "name one of them.")
    left = (
        [LeftOut(s.title, "not asked for") for i, s in enumerate(signals) if (i, s) not in chosen]
        if len(chosen) < len(signals)
        else []
    )
    planned = []
    for index, signal in chosen:
        name = file_name if len(signals) == 1 else f"{file_name}, signal {index} {signal.title!r}"
        try:
            planned.append(_plan(name, index, signal, options, several=len(signals) > 1))
        except UncalibratedError as error:
            if not options.calibrated_only or len(signals) == 1:
                raise _with_way_out(error, signal.remark, several=len(signals) > 1) from error
            left.append(LeftOut(signal.title, signal.remark or error.what))
    if not planned:
        raise refuse(file_name, f"none of its signals is calibrated ({titles})", "give the pixel size.")
    return planned, left


def _with_way_out(error: UncalibratedError, remark: str, *, several: bool) -> UncalibratedError:
    """The same error with what is known about the format, and what else can be done."""
    others = "; or take only what is calibrated (--calibrated-only), or some by title (--signal TITLE)"
    return UncalibratedError(
        f"{error.what.rstrip('.')} ({remark})." if remark else error.what,
        safe=error.safe,
        next_step=f"{error.next_step.rstrip('.')}{others if several else ''}.",
    )


def _plan(
    name: str, index: int, signal: VendorSignal, options: ImportOptions, *, several: bool
) -> PlannedSignal:
    if signal.data.size == 0:
        raise refuse(name, "it holds no values", "import another file.")
    dtype = target_dtype(name, signal.data)
    layout = layout_of(
        name,
        signal,
        energy_given=options.energy_dispersion_ev is not None,
        pixel_size_given=options.pixel_size_pm is not None,
    )
    axes = calibrated_axes(name, signal, layout, options)
    require_finite(name, signal.data)
    array = _arranged(signal.data, layout)
    rows = _rows_per_frame(name, array, layout, np.dtype(dtype).itemsize)
    facts = microscope_facts(signal)
    return PlannedSignal(
        name=name,
        title=signal.title,
        stream=options.stream or _stream(signal, layout.kind, several=several),
        kind=layout.kind,
        dtype=dtype,
        array=array,
        axes=axes,
        rows_per_frame=rows,
        optics=_optics(facts.optics, axes, array.shape),
        stage=StagePosition(**facts.stage),
        acquired_utc=facts.acquired_utc,
        metadata={
            "source": _source(index, signal, layout, options, facts.stage),
            "metadata": signal.metadata,
            "original_metadata": signal.original_metadata,
        },
    )


def _arranged(data: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """As `(frames, ...)`, or as `(rows, ...)` of the one scan that there is."""
    order = layout.dimensions if layout.series is None else (layout.series, *layout.dimensions)
    arranged = data.transpose(order)
    return arranged if layout.series is not None or _is_scan(layout) else arranged[np.newaxis]


def _is_scan(layout: Layout) -> bool:
    return layout.series is None and layout.kind in ("spectrum image", "scanned diffraction")


def _rows_per_frame(name: str, array: NDArray[Any], layout: Layout, itemsize: int) -> int | None:
    one_bytes = prod(array.shape[1:]) * itemsize
    if one_bytes > MAX_FRAME_BYTES:
        raise refuse(name, f"one frame of it would have {one_bytes >> 20} MiB", "cut it into smaller parts.")
    return max(1, min(len(array), _PIECE_BYTES // one_bytes)) if _is_scan(layout) else None


def _stream(signal: VendorSignal, kind: Kind, *, several: bool) -> str:
    title = signal.title.lower()
    if kind == "image":
        detectors = set(_DETECTORS.findall(title))
        if len(detectors) == 1 and (not several or title in detectors):
            return detectors.pop()
    base = {
        "spectrum": "spectrum",
        "spectrum image": "spectrum",
        "scanned diffraction": "diffraction",
    }.get(kind, kind)
    if base == "spectrum" and signal.signal_type:
        base = signal.signal_type.lower().partition("_")[0]
    if kind == "spectrum image":
        base += ".map"
    slug = re.sub(r"[^a-z0-9]+", "-", title).strip("-")
    # Of several images in a file each is a stream of its own, or they could not be told apart.
    stream = f"{base}.{slug}" if several and kind == "image" and slug else base
    return re.sub(r"[^a-z0-9_.-]", "-", stream)[:64]


def _optics(found: dict[str, float], axes: tuple[Axis, ...], shape: tuple[int, ...]) -> Optics:
    unknown: dict[str, Any] = {n: None for n, info in Optics.model_fields.items() if info.is_required()}
    fast = next((index for index, axis in enumerate(axes) if axis.name == "x"), None)
    if fast is not None:
        width_m = axes[fast].scale * shape[len(shape) - len(axes) + fast]
        unknown["field_of_view_m"] = width_m if width_m <= 1e-2 else None
    return Optics.model_validate({**unknown, **found})


def _source(
    index: int, signal: VendorSignal, layout: Layout, options: ImportOptions, stage: dict[str, float]
) -> dict[str, JsonValue]:
    given = options.model_dump(
        include={"pixel_size_pm", "energy_dispersion_ev", "energy_offset_ev"}, exclude_none=True
    )
    source: dict[str, JsonValue] = {
        "reader": signal.reader,
        "signal": index,
        "title": signal.title,
        "kind": layout.kind,
        "axes_in_file": [
            {"name": a.name, "unit": a.unit, "scale": _finite(a.scale), "offset": _finite(a.offset)}
            for a in signal.axes
        ],
        "calibration_given": dict(given),
        "stage_known": [*sorted(stage)],
    }
    if layout.series is not None:
        source["series_axis"] = layout.series
    return source


def _finite(value: float) -> float | str:
    return value if np.isfinite(value) else str(value)


def _as_dict(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}
