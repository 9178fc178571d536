"""What a shard says about instrument, optics, stage, detectors and sample, in NeXus groups with units.

The groups follow NXem in kind: whoever knows NeXus finds voltage, defocus and tilt where they are looked for.
A value that changes within the shard is an array over the rows of the default stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from eucentric_core import FrameHeader

__all__ = ["write_facts"]

_Reading = Callable[[FrameHeader], float | None]

_OPTICS: Mapping[str, tuple[str, _Reading]] = {
    "beam_current": ("A", lambda header: header.optics.beam_current_a),
    "convergence_angle": ("rad", lambda header: header.optics.convergence_angle_rad),
    "defocus": ("m", lambda header: header.optics.defocus_m),
    "field_of_view": ("m", lambda header: header.optics.field_of_view_m),
    "dwell_time": ("s", lambda header: header.optics.dwell_time_s),
    "scan_rotation": ("rad", lambda header: header.optics.scan_rotation_rad),
    # NXem counts dose per area; 1 electron/A^2 is 1e20 electrons/m^2.
    "dose": ("1/m^2", lambda header: None if header.dose_e_per_a2 is None else header.dose_e_per_a2 * 1e20),
}
_STAGE: Mapping[str, tuple[str, _Reading]] = {
    "x": ("m", lambda header: header.stage.x_m),
    "y": ("m", lambda header: header.stage.y_m),
    "z": ("m", lambda header: header.stage.z_m),
    "tilt1": ("rad", lambda header: header.stage.alpha_rad),
    "tilt2": ("rad", lambda header: header.stage.beta_rad),
}


def _group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    return group


def _text(group: h5py.Group, name: str, value: str | None) -> None:
    if value is not None:
        group.create_dataset(name, data=value, dtype=h5py.string_dtype())


def _quantities(
    group: h5py.Group, wanted: Mapping[str, tuple[str, _Reading]], headers: Sequence[FrameHeader]
) -> None:
    for name, (unit, read) in wanted.items():
        readings = [read(header) for header in headers]
        known = {reading for reading in readings if reading is not None}
        if not known:
            continue
        data: Any = (
            np.array([np.nan if r is None else r for r in readings]) if _varies(readings) else known.pop()
        )
        group.create_dataset(name, data=data).attrs["units"] = unit


def _varies(readings: Sequence[float | None]) -> bool:
    return len(set(readings)) > 1


def write_facts(
    entry: h5py.Group,
    rows: Sequence[FrameHeader],
    everything: Iterable[FrameHeader],
    *,
    software: str,
) -> None:
    """Write the facts of a shard into its entry.

    Args:
        entry: `/entry`.
        rows: headers of the default stream, in the order of its rows.
        everything: headers of all streams.
        software: name and version of the writer.
    """
    all_headers = list(everything)
    first = rows[0]
    times = sorted(header.acquired_utc for header in all_headers)
    _text(entry, "definition", "NXem")
    _text(entry, "title", f"{first.instrument} {first.session}")
    _text(entry, "start_time", times[0].isoformat())
    _text(entry, "end_time", times[-1].isoformat())
    program, _, version = software.partition(" ")
    _text(entry, "program_name", program)
    entry["program_name"].attrs["version"] = version

    sample = _group(entry, "sample", "NXsample")
    _text(sample, "name", first.sample)
    _text(sample, "description", first.material)

    instrument = _group(entry, "instrument", "NXinstrument")
    _text(instrument, "name", first.instrument)
    source = _group(instrument, "source", "NXsource")
    _text(source, "probe", "electron")
    _quantities(source, {"voltage": ("V", lambda header: header.optics.high_tension_v)}, rows)
    _quantities(_group(instrument, "optics", "NXem_optical_system"), _OPTICS, rows)
    _quantities(_group(instrument, "stage", "NXmanipulator"), _STAGE, rows)
    for stream in sorted({header.stream for header in all_headers}):
        detector = _group(instrument, f"detector_{stream}", "NXdetector")
        _text(detector, "local_name", stream)
