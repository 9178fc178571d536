"""Images of the repository."""

from __future__ import annotations

from dataclasses import dataclass

from eucentric_core import Settings
from eucentric_data_repository import SearchQuery, open_catalogue
from eucentric_model_registry.support_sets import ImageOrigin

from ._errors import ImageUnreadableError
from ._image import StudioImage

__all__ = ["SessionImages", "frame_of_session", "image_of_origin", "newest_sessions"]

_MOST_SESSIONS = 200


@dataclass(frozen=True, slots=True)
class SessionImages:
    """A session that has images.

    Attributes:
        session: its name.
        title: for people.
        streams: of images.
        first: sequence number.
        last: sequence number.
    """

    session: str
    title: str
    streams: tuple[str, ...]
    first: int
    last: int


def newest_sessions(settings: Settings) -> tuple[SessionImages, ...]:
    """Sessions with images, the newest first.

    Raises:
        ServiceUnavailableError: there is no catalogue, or it cannot be read.
    """
    with open_catalogue(settings) as catalogue:
        query = SearchQuery(order="newest", limit=_MOST_SESSIONS)
        found = []
        for entry in catalogue.search(query).datasets:
            shards = catalogue.shards(dataset_id=entry.dataset_id)
            streams = tuple(
                facts.stream
                for facts in catalogue.dataset(entry.dataset_id).streams
                if len(facts.shape) == 2 and facts.stream != "truth"
            )
            if shards and streams:
                found.append(
                    SessionImages(
                        session=entry.session,
                        title=f"{entry.session} · {entry.sample or entry.material or entry.instrument} · "
                        f"{entry.frames} frames",
                        streams=streams,
                        first=min(shard.shard.first_sequence for shard in shards),
                        last=max(shard.shard.last_sequence for shard in shards),
                    )
                )
    return tuple(found)


def frame_of_session(settings: Settings, session: str, stream: str, sequence: int) -> StudioImage:
    """The frame with a number, or the next one after it.

    Raises:
        ImageUnreadableError: there is none.
        EucentricError: the catalogue or the shard cannot be read.
    """
    with open_catalogue(settings) as catalogue:
        for frame in catalogue.frames(session, stream, from_sequence=sequence, limit=1):
            return StudioImage.of_frame(frame, live=False)
    raise ImageUnreadableError(
        f"Session {session} has no {stream} frame from number {sequence} on.",
        safe="the image that was open is still open.",
        next_step="choose a smaller number.",
    )


def image_of_origin(settings: Settings, origin: ImageOrigin | None) -> StudioImage | None:
    """The image that somebody looked at, if the repository has it.

    Raises:
        EucentricError: the catalogue or the shard cannot be read.
    """
    if origin is None or origin.session is None or origin.stream is None or origin.sequence is None:
        return None
    with open_catalogue(settings) as catalogue:
        for frame in catalogue.frames(origin.session, origin.stream, from_sequence=origin.sequence, limit=1):
            if frame.header.sequence == origin.sequence:
                return StudioImage.of_frame(frame, live=False)
    return None
