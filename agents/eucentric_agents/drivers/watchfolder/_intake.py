"""From finished files to images, each once; what cannot be read is left in place and reported."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from eucentric_core import DataFormatError, ErrorReport, EucentricError, sha256_file

from ..replay import Calibration, ImageSeries, Labels, UnknownPixelSizeError, read_images
from ._ledger import Ledger
from ._options import WatchfolderOptions
from ._watch import Finished, FolderWatch, is_locked

__all__ = ["Intake", "NewImage"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Open:
    """A file whose images are being taken."""

    file: Finished
    sha256: str
    series: ImageSeries
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class NewImage:
    """One image: (ny, nx) array and what its file says about it."""

    source: _Open
    index: int

    @property
    def array(self) -> NDArray[Any]:
        """The pixels."""
        image: NDArray[Any] = self.source.series.stack[self.index]
        return image

    @property
    def labels(self) -> Labels | None:
        """What is known to be in it."""
        return self.source.series.labels.get(self.index)


class Intake:
    """Gives the images of a folder's finished files, one by one.

    Args:
        watch: says which files are finished.
        ledger: remembers what was taken.
        options: pixel size and data set.
    """

    def __init__(self, watch: FolderWatch, ledger: Ledger, options: WatchfolderOptions) -> None:
        self._watch = watch
        self._ledger = ledger
        self._options = options
        self._open: tuple[_Open, int] | None = None
        self._done: dict[Path, Finished] = {}
        self._refused: dict[Path, tuple[Finished, ErrorReport]] = {}
        self._folder_fault: ErrorReport | None = None

    @property
    def fault(self) -> ErrorReport | None:
        """Why the folder cannot be watched, or the file that was refused last; None once that is mended."""
        reports = [report for _file, report in self._refused.values()]
        return self._folder_fault or (reports[-1] if reports else None)

    def look(self) -> NewImage | None:
        """Look at the folder once; the next image, or None while there is none."""
        if self._open is None:
            self._open = self._next_file()
        if self._open is None:
            return None
        source, taken = self._open
        return NewImage(source, taken)

    def taken(self, image: NewImage) -> None:
        """The image has been handed on: it is never given again."""
        source, count = image.source, image.index + 1
        images = len(source.series.stack)
        self._ledger.note(source.file, source.sha256, taken=count, images=images)
        self._open = (source, count) if count < images else None
        if self._open is None:
            self._done[source.file.path] = source.file

    def _next_file(self) -> tuple[_Open, int] | None:
        try:
            files = self._watch.finished()
        except (OSError, DataFormatError) as error:
            self._report_folder(error)
            return None
        self._folder_fault = None
        self._forget_what_changed(files)
        for file in files:
            if file.path in self._refused or self._done.get(file.path) == file:
                continue
            if self._ledger.has_taken(file):
                self._done[file.path] = file
                continue
            opened = self._try(file)
            if opened is not None:
                return opened
        return None

    def _forget_what_changed(self, files: list[Finished]) -> None:
        present = {file.path: file for file in files}
        self._refused = {p: entry for p, entry in self._refused.items() if present.get(p) == entry[0]}
        self._done = {p: file for p, file in self._done.items() if present.get(p) == file}

    def _try(self, file: Finished) -> tuple[_Open, int] | None:
        try:
            if is_locked(file.path):
                return None
            sha256 = sha256_file(file.path)
            before = self._ledger.taken(sha256)
            if before is not None and before[0] == before[1]:
                _log.info("%s holds what was taken before", file.path)
                self._done[file.path] = file
                return None
            series = read_images(file.path, self._options.dataset)
            calibration = self._calibration(file.path, series)
        except EucentricError as error:
            self._refuse(file, error)
            return None
        except OSError as error:
            # Away, or not to be opened at this moment: it is looked at again.
            _log.info("%s cannot be opened yet: %s", file.path, error)
            return None
        if not file.unchanged():
            # It was written to while it was read.
            return None
        return _Open(file, sha256, series, calibration), 0 if before is None else before[0]

    def _refuse(self, file: Finished, error: EucentricError) -> None:
        if not file.unchanged():
            return
        _log.warning("%s is left where it is: %s", file.path, error)
        report = error.report().model_copy(
            update={"safe": "the file is left as it is, and the folder is watched on."}
        )
        # Anew each time: the fault is asked for from any thread.
        self._refused = {**self._refused, file.path: (file, report)}

    def _report_folder(self, error: OSError | DataFormatError) -> None:
        if self._folder_fault is None:
            _log.warning("the folder cannot be watched: %s", error)
        if isinstance(error, EucentricError):
            self._folder_fault = error.report()
            return
        self._folder_fault = ErrorReport(
            code="no_file",
            what=f"The watched folder cannot be read: {error}.",
            safe="nothing was lost; it is looked at again.",
            next_step="check that the folder is connected.",
        )

    def _calibration(self, path: Path, series: ImageSeries) -> Calibration:
        if series.calibration is not None:
            return series.calibration
        size_m = self._options.pixel_size_m
        if size_m is None:
            raise UnknownPixelSizeError(
                f"{path.name} does not say how large a pixel is.",
                safe="the file is left as it is; a pixel size is never guessed.",
                next_step="give it in metres as agent.driver.pixel_size_m.",
            )
        return Calibration(size_m, size_m)
