"""A document that is sent carries its hash: whatever is changed on the way is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eucentric_core import IntegrityError, SentDocument

DOCUMENT = json.dumps({"instrument": "twin", "material": "MoS₂", "frames": 4})
SENT = SentDocument.of(DOCUMENT).model_dump_json().encode()


def test_what_arrives_whole_is_the_document() -> None:
    assert SentDocument.opened(SENT) == DOCUMENT.encode()


def test_what_an_earlier_version_sent_is_given_as_it_is() -> None:
    assert SentDocument.opened(DOCUMENT.encode()) == DOCUMENT.encode()


@given(place=st.integers(0, len(SENT) - 1), bit=st.integers(0, 7))
def test_no_flipped_bit_makes_another_document_of_it(place: int, bit: int) -> None:
    changed = bytearray(SENT)
    changed[place] ^= 1 << bit
    try:
        opened = SentDocument.opened(bytes(changed))
    except IntegrityError:
        return
    # No document of ours either way: whoever reads it refuses it.
    assert opened == DOCUMENT.encode() or opened == bytes(changed) != SENT


@pytest.mark.parametrize(
    "arrived", [b"", b"\x00" * 40, b"[1, 2]", b'{"document": 3}', SENT[:-1], SENT + b" x"]
)
def test_what_is_no_such_thing_is_refused_or_left_to_whoever_reads_it(arrived: bytes) -> None:
    try:
        assert SentDocument.opened(arrived) == arrived
    except IntegrityError:
        assert b'"document"' in arrived
