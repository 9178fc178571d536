"""The frames of a file or folder, in order, one file in memory at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from eucentric_core import ConfigurationError

from ._errors import UnknownPixelSizeError
from ._images import Calibration, ImageSeries
from ._labels import Labels
from ._options import ReplayOptions
from ._readers import is_readable, read_images

__all__ = ["FrameSource", "RecordedFrame"]

_MAX_FILES = 10_000


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """One frame: (ny, nx) array, calibration, what its file says about the optics, and its labels if any."""

    array: NDArray[Any]
    calibration: Calibration
    optics: dict[str, float]
    simulated: bool
    labels: Labels | None


@dataclass(frozen=True, slots=True)
class _Place:
    path: Path
    image: int
    top_px: int
    left_px: int
    height_px: int
    width_px: int


class FrameSource:
    """Frames by number. Opening reads every file once, so that a bad one is known before a scan starts.

    Raises:
        ConfigurationError: the path does not exist.
        UnknownPixelSizeError: no pixel size is known for a file.
        DataFormatError: a file, or the labels beside it, cannot be replayed.
    """

    def __init__(self, options: ReplayOptions) -> None:
        self._options = options
        self._loaded: tuple[Path, ImageSeries] | None = None
        self._places: list[_Place] = []
        self.simulated = self.labelled = False
        for path in _files(options.path.expanduser()):
            series = self._load(path)
            self._calibration(path, series)
            self.simulated |= series.simulated
            self.labelled |= bool(series.labels)
            count, height, width = series.stack.shape
            for image in range(count):
                self._places += _tiles(path, image, height, width, options.tile_px)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> RecordedFrame:
        place = self._places[index]
        series = self._load(place.path)
        whole = self._calibration(place.path, series)
        rows = slice(place.top_px, place.top_px + place.height_px)
        columns = slice(place.left_px, place.left_px + place.width_px)
        calibration = Calibration(
            whole.y_scale_m,
            whole.x_scale_m,
            whole.y_offset_m + place.top_px * whole.y_scale_m,
            whole.x_offset_m + place.left_px * whole.x_scale_m,
        )
        labels = series.labels.get(place.image)
        if labels is not None:
            labels = labels.within(
                top_px=place.top_px,
                left_px=place.left_px,
                height_px=place.height_px,
                width_px=place.width_px,
            )
        return RecordedFrame(
            series.stack[place.image, rows, columns], calibration, series.optics, series.simulated, labels
        )

    def _load(self, path: Path) -> ImageSeries:
        if self._loaded is None or self._loaded[0] != path:
            self._loaded = (path, read_images(path, self._options.dataset))
        return self._loaded[1]

    def _calibration(self, path: Path, series: ImageSeries) -> Calibration:
        size_m = self._options.pixel_size_m
        if size_m is not None:
            return Calibration(size_m, size_m)
        if series.calibration is None:
            raise UnknownPixelSizeError(
                f"{path.name} does not say how large a pixel is.",
                safe="nothing was replayed; a pixel size is never guessed.",
                next_step="give it in metres as agent.driver.pixel_size_m.",
            )
        return series.calibration


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ConfigurationError(
            f"There is no file or folder {path}.",
            safe="nothing was replayed.",
            next_step="check agent.driver.path.",
        )
    found = sorted(item for item in path.iterdir() if item.is_file() and is_readable(item))
    if not 1 <= len(found) <= _MAX_FILES:
        raise ConfigurationError(
            f"Folder {path} holds {len(found)} files that could be replayed.",
            safe="nothing was replayed.",
            next_step=f"choose a folder with 1 to {_MAX_FILES} files such as .npy, .png, .tif, .h5 or .dm4.",
        )
    return found


def _tiles(path: Path, image: int, height: int, width: int, side: int | None) -> list[_Place]:
    if side is None:
        return [_Place(path, image, 0, 0, height, width)]
    return [
        _Place(path, image, top, left, min(side, height), min(side, width))
        for top in _starts(height, side)
        for left in _starts(width, side)
    ]


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    # What is left over at the edge becomes one more tile that overlaps its neighbour.
    return [*range(0, length - side, side), length - side]
