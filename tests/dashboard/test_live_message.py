"""What a browser is sent for one frame."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from eucentric_dashboard import Picture
from eucentric_dashboard.pages.live._message import frame_message, packed_positions

from .stand_in import ATOMS, PIXEL_SIZE_M, SHAPE, answer_of, frame_of, uncertainty_of


def picture(*, answered: bool = True) -> Picture:
    made = Picture(3, frame_of(7), arrived_s=0.0)
    if answered:
        made.answer, made.rows = answer_of(7)
        _, made.deviation = uncertainty_of(7)
    return made


def taken_apart(message: bytes) -> tuple[dict[str, Any], bytes, bytes, bytes]:
    (length,) = struct.unpack_from("<I", message)
    header = json.loads(message[4 : 4 + length])
    parts, at = [], 4 + length
    for name in ("rows_bytes", "image_bytes", "layer_bytes"):
        parts.append(message[at : at + header[name]])
        at += header[name]
    assert at == len(message)
    return header, parts[0], parts[1], parts[2]


def test_it_holds_the_image_with_its_positions_and_scale() -> None:
    message = frame_message(picture(), "normal", with_uncertainty=False, age_s=0.1)

    header, rows, image, layer = taken_apart(message)

    assert image[:2] == b"\xff\xd8", "a JPEG begins so"
    assert layer == b""
    assert (header["sequence"], header["width"], header["height"]) == (7, SHAPE[1], SHAPE[0])
    assert header["pixel_size_m"] == PIXEL_SIZE_M
    assert header["counts"] == [["metal", 25], ["chalcogen", 24]]
    positions = np.frombuffer(rows, np.uint16).reshape(-1, 4)
    np.testing.assert_allclose(positions[:, 1::-1] / 16 - 0.5, ATOMS[:, :2])
    np.testing.assert_array_equal(positions[:, 2], ATOMS[:, 2])


def test_the_uncertainty_comes_for_those_who_ask() -> None:
    message = frame_message(picture(), "strong", with_uncertainty=True, age_s=0.1)

    assert taken_apart(message)[3][:4] == b"\x89PNG"


def test_a_bare_frame_has_no_positions_and_no_counts() -> None:
    header, rows, _, layer = taken_apart(
        frame_message(picture(answered=False), "normal", with_uncertainty=True, age_s=0.0)
    )

    assert (rows, layer, header["counts"]) == (b"", b"", [])


def test_a_large_frame_is_sent_smaller_and_its_positions_with_it() -> None:
    rows = np.array([[1001.0, 2003.0, 0, 1.0]], np.float32)

    (x, y, _, score) = packed_positions(rows, 4)[0]

    assert (x / 16, y / 16) == (501.0 - 0.125, 250.375)
    assert score == 65535


def test_of_too_many_positions_the_surest_are_sent() -> None:
    rows = np.zeros((5000, 4), np.float32)
    rows[:, 3] = np.linspace(0, 1, 5000)

    assert packed_positions(rows, 1)[:, 3].min() > 0.19 * 65535
    assert len(packed_positions(rows, 1)) == 4000
