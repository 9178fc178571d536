"""A frame says everything needed to read it alone, and never more than it holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from eucentric_core import (
    MAX_FRAME_BYTES,
    MAX_VENDOR_METADATA_BYTES,
    Axis,
    DataFormatError,
    Frame,
    FrameHeader,
    ResultHeader,
)

MakeFrame = Callable[..., Frame]


def changed(frame: Frame, **fields: Any) -> FrameHeader:
    """The frame's header with other fields, checked anew."""
    return FrameHeader.model_validate({**frame.header.model_dump(), **fields})


@pytest.mark.parametrize(
    "shape",
    [
        (65536, 65536),
        (100_000, 100_000),
        (2**62, 2**62),
        (MAX_FRAME_BYTES // 4 + 1,),
        (2**31, 2**31, 2**31, 1),
    ],
)
def test_a_header_that_announces_too_much_is_refused(make_frame: MakeFrame, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="over the limit"):
        changed(make_frame(), shape=shape, axes=())


def test_the_largest_frame_is_allowed(make_frame: MakeFrame) -> None:
    assert changed(make_frame(), shape=(16384, 16384)).nbytes == MAX_FRAME_BYTES


@pytest.mark.parametrize(
    "fields",
    [
        {"shape": (-1, 4)},
        {"shape": (1, 1, 1, 1, 1), "axes": ()},
        {"shape": (1.5, 2)},
        {"dtype": "object"},
        {"dtype": "complex64"},
        {"dtype": ">f4"},
        {"dtype": "float128"},
        {"sequence": -1},
        {"stream": "../haadf"},
        {"stream": ""},
        {"session": "a/b"},
        {"session": ".."},
        {"instrument": "x" * 101},
        {"acquired_utc": datetime(2026, 11, 20)},
        {"acquired_monotonic_s": float("nan")},
        {"dose_e_per_a2": -1},
        {"dose_e_per_a2": float("inf")},
        {"axes": (Axis(name="x", unit="m", scale=1e-11),)},
        {"schema_version": 3},
        {"schema_version": 1, "scan": 0},
        {"schema_version": 1, "vendor_metadata": {}},
        {"scan": -1},
        {"vendor_metadata": {"Comment": "x" * MAX_VENDOR_METADATA_BYTES}},
        {"vendor_metadata": {"gain": float("nan")}},
        {"vendor_metadata": ["a list"]},
        {"kind": "result"},
        {"unknown": 1},
    ],
    ids=lambda fields: str(fields)[:60],
)
def test_a_wrong_header_is_refused(make_frame: MakeFrame, fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        changed(make_frame(), **fields)


@pytest.mark.parametrize("scale", [0.0, -1e-11, float("nan")])
def test_an_axis_without_a_scale_is_no_axis(scale: float) -> None:
    with pytest.raises(ValidationError):
        Axis(name="x", unit="m", scale=scale)


def test_times_of_other_zones_become_utc(make_frame: MakeFrame) -> None:
    local = datetime(2026, 11, 20, 14, tzinfo=timezone(timedelta(hours=2)))
    assert changed(make_frame(), acquired_utc=local).acquired_utc == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert changed(make_frame(), acquired_utc=local).acquired_utc.tzinfo is UTC


def test_a_header_never_changes(make_frame: MakeFrame) -> None:
    frame = make_frame()
    with pytest.raises(ValidationError, match="frozen"):
        frame.header.sequence = 5  # type: ignore[misc]
    with pytest.raises(AttributeError):
        frame.header = changed(frame, sequence=5)  # type: ignore[misc]


def test_the_array_is_a_read_only_view_of_the_drivers_memory(make_frame: MakeFrame) -> None:
    header = make_frame().header
    memory = np.zeros((16, 16), "float32")
    frame = Frame(header, memory)
    assert np.shares_memory(frame.array, memory)
    with pytest.raises(ValueError, match="read-only"):
        frame.array[0, 0] = 1
    memory[0, 0] = 1  # the owner's own array stays its own


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((16, 17), "float32"),
        np.zeros((256,), "float32"),
        np.zeros((16, 16), "float64"),
        np.zeros((16, 16), ">f4"),
    ],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)
def test_an_array_that_is_not_the_announced_one_is_refused(make_frame: MakeFrame, array: np.ndarray) -> None:
    with pytest.raises(DataFormatError, match="announces"):
        Frame(make_frame().header, array)


def test_the_pixel_size_is_known_or_refused_never_guessed(make_frame: MakeFrame) -> None:
    assert make_frame().header.pixel_size_m == 2e-11
    for axes in ((), (Axis(name="y", unit="px", scale=1), Axis(name="x", unit="px", scale=1))):
        with pytest.raises(DataFormatError, match="no pixel size"):
            _ = changed(make_frame(), axes=axes).pixel_size_m


def test_a_result_keeps_the_sequence_number_of_its_frame(make_frame: MakeFrame) -> None:
    frame = make_frame(41).header
    result = ResultHeader(
        **frame.model_dump(
            include={"instrument", "session", "sequence", "acquired_utc", "acquired_monotonic_s"}
        ),
        stream="detections",
        shape=(3, 4),
        dtype="float32",
        simulated=frame.simulated,
        source_stream=frame.stream,
        model_name="atoms",
        model_version=2,
        classes=("Mo", "S2"),
        pixel_size_m=2e-11,
        mean_uncertainty=0.1,
        mean_entropy_nats=0.2,
        drift_score=1.5,
        latency_s=0.02,
    )
    assert (result.kind, result.sequence, result.nbytes) == ("result", 41, 48)
    with pytest.raises(ValidationError, match="mean_uncertainty"):
        ResultHeader.model_validate({**result.model_dump(), "mean_uncertainty": 1.5})


def test_a_header_of_version_1_is_written_back_without_what_came_later(make_frame: MakeFrame) -> None:
    old = changed(make_frame(), schema_version=1)
    assert {"scan", "vendor_metadata"} & old.model_dump().keys() == set()
    assert FrameHeader.model_validate_json(old.model_dump_json()) == old


def test_what_the_vendor_said_is_kept_verbatim(make_frame: MakeFrame) -> None:
    said = {
        "Detectors": [{"Gain": 1e-30, "Name": "HAADF \u00b5 \x00"}],
        "Stage": {"Stage X": -0.0},
        "none": None,
    }
    header = changed(make_frame(), vendor_metadata=said, scan=3)
    read = FrameHeader.model_validate_json(header.model_dump_json())
    assert read.vendor_metadata == said
    assert (read.scan, read.schema_version) == (3, 2)
