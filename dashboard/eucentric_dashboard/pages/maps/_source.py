"""Whose maps are shown: the edge's of the live image, or a saved support set's of a frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eucentric_core import Settings
from eucentric_data_repository import open_catalogue
from eucentric_model_registry.support_sets import SupportSetRecord, support_set_store

from ...chips import LabelClass, MappedFrame, MapRequest, StudioImage, shared_mapper

__all__ = ["SavedSet", "map_by", "saved_set", "spread_over_session"]


@dataclass(frozen=True)
class SavedSet:
    """A support set as it is applied.

    Attributes:
        record: of the store.
        content: as JSON.
    """

    record: SupportSetRecord
    content: bytes

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """For their colours."""
        return tuple(LabelClass(one.key, one.name, one.colour) for one in self.record.classes)


def saved_set(settings: Settings, name: str, version: int | None) -> SavedSet:
    """A version of the store.

    Raises:
        SupportSetStoreError: there is none, or it is damaged.
    """
    store = support_set_store(settings)
    record = store.record(name, version)
    return SavedSet(record, store.content(record))


def map_by(chosen: SavedSet, image: StudioImage) -> MappedFrame:
    """Map an image by a support set, with chips as large as its own: in nm where both are calibrated.

    Raises:
        EucentricError: the image cannot be cut, or nothing can be computed here.
    """
    record = chosen.record
    side = record.chip_px
    if record.pixel_size_m is not None and image.pixel_size_m is not None:
        side = max(1, round(side * record.pixel_size_m / image.pixel_size_m))
    return shared_mapper().map_frame(
        MapRequest(
            image=image.array,
            pixel_size_m=image.pixel_size_m,
            side_px=side,
            offset_px=record.offset_px,
            chosen={},
            earlier=chosen.content,
        )
    )


def spread_over_session(
    settings: Settings, session: str, stream: str, first: int, last: int, *, most: int
) -> Iterator[StudioImage]:
    """Frames of a session at even distances, the first and the last among them.

    Raises:
        EucentricError: the catalogue or a shard cannot be read.
    """
    count = min(most, last - first + 1)
    wanted = [first + round(index * (last - first) / max(1, count - 1)) for index in range(count)]
    given = -1
    with open_catalogue(settings) as catalogue:
        for number in wanted:
            for frame in catalogue.frames(session, stream, from_sequence=number, limit=1):
                if frame.header.sequence > given:
                    given = frame.header.sequence
                    yield StudioImage.of_frame(frame, live=False)
