"""Copying what a segment's journal vouches for into a new segment. Damage goes to the quarantine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eucentric_core import FrameHeader
from eucentric_transfer import Compression

from ._folders import Folders, SegmentName
from ._quarantine import Quarantine
from ._salvage import Damage, Salvage
from ._segment import Records, Segment
from ._steps import reached

__all__ = ["rebuild", "set_damage_aside"]


def rebuild(
    salvage: Salvage,
    name: SegmentName,
    *,
    folders: Folders,
    quarantine: Quarantine,
    software: str,
    compression: Compression,
    note: Callable[[FrameHeader], None] = lambda _header: None,
) -> Segment:
    """A segment under a new name with every intact frame, durable; then the old files are gone.

    Args:
        salvage: the old segment; nothing else uses it.
        name: of a later generation than the old one.
        folders: of the journal.
        quarantine: for what is damaged.
        software: writer of the new shard.
        compression: for what follows.
        note: is called for each frame.

    Raises:
        OutOfSpaceError, JournalError: the disk failed; the old segment counts on.
    """
    # What was compressed can only lie in a data set that has the filter.
    if any(entry.chunk and entry.chunk.filter_mask == 0 for entry, _ in salvage.entries):
        compression = "blosc2-lz4"
    segment = Segment(folders, name, software=software, compression=compression, provisional=True)
    try:
        records: Records = []
        for header, stored in salvage.frames():
            records += segment.copy(header, stored)
            note(header)
        segment.make_durable(records)
        reached("recovery.copied")
        set_damage_aside(salvage, quarantine)
        segment.confirm(folders)
    except BaseException:
        segment.discard()
        raise
    reached("recovery.replaced")
    # A frame whose record is damaged may still lie whole in the old shard.
    if salvage.records_damaged and salvage.shard.exists():
        quarantine.take(salvage.shard, "records of its journal are damaged; it may hold further frames")
    # A sector that cannot be read now can perhaps be read later.
    for path in sorted({damage.path for damage in salvage.damage if not damage.readable}):
        if path.exists():
            quarantine.take(path, "the disk cannot read parts of it")
    salvage.journal.unlink(missing_ok=True)
    salvage.shard.unlink(missing_ok=True)
    return segment


def set_damage_aside(salvage: Salvage, quarantine: Quarantine) -> None:
    """Copy what is damaged to the quarantine, each with its reason."""
    for damage in salvage.damage:
        content = damage.content() if damage.readable else b""
        quarantine.keep(f"{damage.path.name}-{damage.start}", content, _reason(damage))


def _reason(damage: Damage) -> dict[str, Any]:
    reason: dict[str, Any] = {
        "kind": "damaged",
        "what": f"Of {damage.path.name}, bytes {damage.start} to {damage.stop}: {damage.what}.",
    }
    if damage.header is not None:
        reason["header"] = damage.header.model_dump_json()
    return reason
