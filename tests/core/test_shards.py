"""A shard's name and key follow from its content; a data set lists what is missing."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from eucentric_core import DatasetManifest, Shard, utc_now


def shard(**fields: Any) -> Shard:
    """A shard of four frames."""
    given: dict[str, Any] = {
        "instrument": "twin",
        "session": "s1",
        "index": 0,
        "first_sequence": 8,
        "last_sequence": 11,
        "frames": 4,
        "streams": ("haadf", "truth"),
        "sha256": "ab" * 32,
        "size_bytes": 1000,
        "sealed_utc": utc_now(),
        "simulated": True,
    }
    return Shard(**{**given, **fields})


def test_the_key_tells_one_content_from_another() -> None:
    others = ({"sha256": "cd" * 32}, {"session": "s2"}, {"instrument": "b"}, {"last_sequence": 12})
    keys = {shard().idempotency_key, *(shard(**other).idempotency_key for other in others)}
    assert len(keys) == 5
    assert shard(index=7, sealed_utc=utc_now()).idempotency_key == shard().idempotency_key


def test_the_file_name_is_the_same_at_both_ends() -> None:
    assert shard().file_name == "twin_s1_000000_abababababab.h5"
    longest = shard(instrument="i" * 100, session="s" * 100, index=10**6 - 1)
    assert len(f"{longest.file_name}.json") < 240


@pytest.mark.parametrize(
    "fields",
    [
        {"last_sequence": 7},
        {"frames": 5},
        {"frames": 0},
        {"streams": ()},
        {"sha256": "AB" * 32},
        {"sha256": "ab"},
        {"size_bytes": 0},
        {"session": "../s"},
    ],
    ids=str,
)
def test_a_shard_that_contradicts_itself_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        shard(**fields)


def test_a_data_set_counts_its_frames_and_keeps_to_one_recording() -> None:
    shards = (shard(), shard(index=1, first_sequence=12, last_sequence=15, frames=3))
    manifest = DatasetManifest(
        instrument="twin", session="s1", shards=shards, missing_sequences=(13,), closed_utc=utc_now()
    )
    assert (manifest.dataset_id, manifest.frames) == ("twin.s1", 7)
    assert shards[0].dataset_id == manifest.dataset_id
    with pytest.raises(ValidationError, match="another recording"):
        DatasetManifest(instrument="twin", session="s2", shards=shards, closed_utc=utc_now())
