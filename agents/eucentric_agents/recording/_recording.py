"""A session that is being recorded, as the journal holds it in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from eucentric_core import FrameHeader, Shard
from eucentric_transfer import MAX_STREAMS, ShardBuilder

from ._ledger import Ledger, SessionRow
from ._poison import ScanShapes
from ._sealed import SealedFrames
from ._segment import Segment

__all__ = ["GrowingShard", "Recording", "recording_of"]


@dataclass
class GrowingShard:
    """A shard that is not sealed: its segment, and which acquisitions it holds, with their streams.

    Once `last` is set it takes no new acquisition; `lost` are frames that failed to become durable in it
    and are still welcome, because they were never acknowledged.
    """

    index: int
    first: int
    segment: Segment
    held: dict[int, set[str]] = field(default_factory=dict)
    groups: set[tuple[str, tuple[int, ...], str]] = field(default_factory=set)
    last: int | None = None
    lost: set[tuple[int, str]] = field(default_factory=set)
    simulated: bool = False
    highest: int | None = None
    """The last of the acquisitions that are held. Kept, because it is asked for with every frame."""

    @property
    def frames(self) -> set[tuple[int, str]]:
        """All frames that are held, durable or not."""
        return {(sequence, stream) for sequence, streams in self.held.items() for stream in streams}

    @property
    def settled(self) -> bool:
        """Whether it can be sealed."""
        return self.last is not None and not self.lost and not self.segment.unsettled

    def fits(self, header: FrameHeader) -> bool:
        """Whether there is a group for the frame, or room for one."""
        return ShardBuilder.group_of(header) in self.groups or len(self.groups) < MAX_STREAMS

    def note(self, header: FrameHeader) -> None:
        """Remember that the segment holds a frame."""
        self.held.setdefault(header.sequence, set()).add(header.stream)
        if self.highest is None or header.sequence > self.highest:
            self.highest = header.sequence
        self.groups.add(ShardBuilder.group_of(header))
        self.lost.discard((header.sequence, header.stream))
        self.simulated |= header.simulated

    def replace(self, segment: Segment) -> None:
        """Go on with a segment that holds what of the old one was durable."""
        before = self.frames
        self.segment, self.held = segment, {}
        for sequence, stream in segment.durable:
            self.held.setdefault(sequence, set()).add(stream)
        self.highest = max(self.held, default=None)
        if self.last is not None:
            self.lost |= before - segment.durable


@dataclass
class Recording:
    """An unfinished session: its row, its shards that are not being sealed yet, and how far it has come.

    `next_sequence` and `missing` are ahead of the row by what is being sealed.
    """

    row: SessionRow
    growing: list[GrowingShard] = field(default_factory=list)
    streams: set[str] = field(default_factory=set)
    quarantined: set[tuple[int, str]] = field(default_factory=set)
    shapes: ScanShapes = field(default_factory=ScanShapes)
    sealed: SealedFrames = field(default_factory=SealedFrames)

    def says_more(self, sample: str | None, material: str | None) -> bool:
        """Whether this tells what is on the grid, and nobody has yet, of a session that goes on."""
        row = self.row
        new = (sample and row.sample is None) or (material and row.material is None)
        return bool(new) and row.state == "open"

    def __post_init__(self) -> None:
        self.next_index = self.row.next_index
        self.next_sequence = self.row.next_sequence
        self.sealed_below = self.row.next_sequence
        self.missing: set[int] = set(self.row.missing)

    @property
    def open(self) -> GrowingShard | None:
        """The shard that takes new acquisitions."""
        return self.growing[-1] if self.growing and self.growing[-1].last is None else None

    @property
    def last_known(self) -> int:
        """Highest sequence number seen, -1 before the first."""
        shard = self.open
        return self.next_sequence - 1 if shard is None or shard.highest is None else shard.highest

    def has(self, header: FrameHeader) -> bool:
        """Whether a frame is held, in a sealed shard, or in the quarantine."""
        sequence, stream = header.sequence, header.stream
        if (sequence, stream) in self.quarantined:
            return True
        for shard in self.growing:
            if sequence >= shard.first and (shard.last is None or sequence <= shard.last):
                return stream in shard.held.get(sequence, ())
        return (
            sequence < self.next_sequence
            and sequence not in self.missing
            and self.sealed.has(sequence, stream)
        )

    def closing_around(self, sequence: int) -> GrowingShard | None:
        """The shard that is closing and has this acquisition in its range."""
        for shard in self.growing:
            if shard.last is not None and shard.first <= sequence <= shard.last:
                return shard
        return None

    def add(self, segment: Segment) -> GrowingShard:
        """Begin a shard behind all others."""
        shard = GrowingShard(self.next_index, self.next_sequence, segment)
        self.growing.append(shard)
        self.next_index += 1
        return shard

    def shut(self, shard: GrowingShard) -> None:
        """The open shard takes no new acquisition."""
        shard.last = self.next_sequence - 1 if shard.highest is None else shard.highest
        self.next_sequence = shard.last + 1


def recording_of(ledger: Ledger, row: SessionRow) -> Recording:
    """A session as the ledger knows it, without what is not sealed."""
    _, entries = ledger.entries_of(row.instrument, row.session)
    shards = [Shard.model_validate_json(entry.document) for entry in entries if entry.kind == "shard"]
    return Recording(row, quarantined=ledger.quarantined(row.id), sealed=SealedFrames(shards))
