"""What a data set lacks, in words: why it is still open, and which acquisitions are missing in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from eucentric_core import DatasetManifest, runs_of

from .._entries import DatasetEntry

__all__ = ["completeness"]

_MOST_RUNS = 8


def completeness(entry: DatasetEntry, manifest: DatasetManifest | None) -> Iterator[str]:
    """Nothing of a data set that is complete and lacks nothing."""
    if manifest is None:
        yield (
            "open: its manifest has not come. Its recording goes on, or see `eucentric agent shipping` there"
        )
        return
    if (awaited := len(manifest.shards) - entry.shards) > 0:
        yield (
            f"open: {awaited} of its {len(manifest.shards)} shards have not come; "
            "see `eucentric agent shipping` there"
        )
    if manifest.missing_sequences:
        yield f"missing acquisitions: {_runs(manifest.missing_sequences)}"


def _runs(numbers: Iterable[int]) -> str:
    """Ascending numbers as `3, 7-9`, the first few runs of them."""
    runs = runs_of(numbers)
    named = [f"{first}" if first == last else f"{first}-{last}" for first, last in runs[:_MOST_RUNS]]
    left = sum(last - first + 1 for first, last in runs[_MOST_RUNS:])
    return ", ".join(named) + (f" and {left} more" if left else "")
