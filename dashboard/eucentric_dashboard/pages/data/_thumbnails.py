"""Small pictures of data sets: made one at a time in the background, kept in a folder of bounded size."""

from __future__ import annotations

import hashlib
import io
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from eucentric_core import EucentricError, Frame, write_atomic
from eucentric_data_repository import ShardEntry
from eucentric_transfer import ShardReader

from ..._encode import to_grey

__all__ = ["Thumbnails"]

SIDE_PX = 192
_MOST_FILES = 1000
_MOST_WAITING = 200
_QUALITY = 80
_NO_IMAGES = frozenset({"truth", "detections"})

_log = logging.getLogger(__name__)
_ONE_AT_A_TIME = ThreadPoolExecutor(max_workers=1, thread_name_prefix="thumbnails")


class Thumbnails:
    """Asking never waits: there is a file, or it is being made, or a word says why there is none.

    Args:
        folder: of the pictures; at most 1000 files of a few kB, those that were not looked at longest go.
        shards: of a data set, ascending.
    """

    def __init__(self, folder: Path, shards: Callable[[str], Sequence[ShardEntry]]) -> None:
        self._folder = folder
        self._shards = shards
        self._lock = threading.Lock()
        self._waiting: set[str] = set()
        self._without: dict[str, str] = {}

    def path(self, dataset_id: str) -> Path:
        """Where the picture of a data set is kept."""
        return self._folder / f"{hashlib.sha256(dataset_id.encode()).hexdigest()[:32]}.jpg"

    def find(self, dataset_id: str) -> Path | None:
        """The picture, JPEG; None while there is none, and then it is made if that is possible."""
        path = self.path(dataset_id)
        if path.exists():
            return path
        with self._lock:
            if dataset_id in self._without or len(self._waiting) >= _MOST_WAITING:
                return None
            if dataset_id not in self._waiting:
                self._waiting.add(dataset_id)
                _ONE_AT_A_TIME.submit(self._make, dataset_id).add_done_callback(_tell)
        return None

    def why_without(self, dataset_id: str) -> str | None:
        """Why there will be no picture; None if there is one, or it is being made."""
        with self._lock:
            return self._without.get(dataset_id)

    def _make(self, dataset_id: str) -> None:
        why = "no image in it"
        try:
            frame = first_image(self._shards(dataset_id))
            if frame is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
                write_atomic(self.path(dataset_id), thumbnail_jpeg(frame))
                why = ""
                self._forget_oldest()
        except EucentricError as error:
            why = error.what
        except OSError as error:
            why = f"it cannot be kept: {error.strerror}"
        finally:
            with self._lock:
                self._waiting.discard(dataset_id)
                if why:
                    while len(self._without) >= _MOST_FILES:
                        self._without.pop(next(iter(self._without)))
                    self._without[dataset_id] = why

    def _forget_oldest(self) -> None:
        files = sorted(self._folder.glob("*.jpg"), key=lambda path: path.stat().st_mtime)
        for path in files[:-_MOST_FILES]:
            path.unlink(missing_ok=True)


def first_image(shards: Sequence[ShardEntry]) -> Frame | None:
    """The first frame `(ny, nx)` of the first kept shard that has one; None if no shard has any.

    Raises:
        DataFormatError: the file is missing or damaged.
    """
    for entry in shards:
        if entry.state != "here":
            continue
        with ShardReader(entry.path) as reader:
            for stream in sorted(reader.streams, key=lambda name: (name != "haadf", name)):
                headers = reader.headers(stream)
                if stream in _NO_IMAGES or not headers or len(headers[0].shape) != 2:
                    continue
                return next(reader.frames(stream, only={headers[0].sequence}), None)
    return None


def thumbnail_jpeg(frame: Frame) -> bytes:
    """A frame as a JPEG whose longer side is 192 px."""
    image = Image.fromarray(to_grey(frame.array))
    image.thumbnail((SIDE_PX, SIDE_PX))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _tell(done: Future[None]) -> None:
    if (error := done.exception()) is not None:
        _log.error("a thumbnail failed unexpectedly", exc_info=error)
