"""Labels that somebody wrote beside a recording: a CSV file of positions and class names."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

import numpy as np

from eucentric_core import DataFormatError

from ._errors import refuse
from ._images import ImageSeries
from ._labels import Labels

__all__ = ["LABELS_SUFFIX", "with_labels_file"]

LABELS_SUFFIX = ".labels.csv"
"""Takes the place of the image file's suffix."""

_COLUMNS = ("frame", "y_px", "x_px", "class")
_MAX_FILE_BYTES = 64 << 20
_MAX_CLASSES = 64
_NEXT_STEP = f"correct the labels, or remove the file; its columns are {','.join(_COLUMNS)}."


@dataclass(frozen=True, slots=True)
class _Label:
    image: int
    y_px: float
    x_px: float
    name: str


def with_labels_file(path: Path, series: ImageSeries) -> ImageSeries:
    """The images of a file with the labels of the file beside it, if there is one.

    Args:
        path: the image file; its labels are in `<name without suffix>.labels.csv`.
        series: what was read from it.

    Raises:
        DataFormatError: the labels file cannot be read or does not fit the images; names file and line.
    """
    file = path.with_suffix(LABELS_SUFFIX)
    if not file.exists():
        return series
    if series.labels:
        raise refuse(path.name, f"it holds its own truth, and {file.name} lies beside it", "remove one.")
    labels = _read(file, series.stack.shape)
    classes = tuple(sorted({label.name for label in labels}))
    if not 1 <= len(classes) <= _MAX_CLASSES:
        raise refuse(file.name, f"it names {len(classes)} classes, not 1 to {_MAX_CLASSES}", _NEXT_STEP)
    ids = {name: index for index, name in enumerate(classes)}
    rows: dict[int, list[tuple[float, float, int]]] = {}
    for label in labels:
        rows.setdefault(label.image, []).append((label.y_px, label.x_px, ids[label.name]))
    return replace(
        series, labels={image: Labels(np.array(found, np.float32), classes) for image, found in rows.items()}
    )


def _read(file: Path, shape: tuple[int, ...]) -> list[_Label]:
    if file.stat().st_size > _MAX_FILE_BYTES:
        raise refuse(file.name, f"it is larger than {_MAX_FILE_BYTES >> 20} MiB", _NEXT_STEP)
    lines = csv.reader(io.StringIO(_text(file), newline=""), strict=True)
    try:
        columns = [name.strip() for name in next(lines, [])]
        if sorted(columns) != sorted(_COLUMNS):
            raise refuse(f"{file.name}, line 1", f"its columns are {','.join(columns)!r}", _NEXT_STEP)
        return [
            _label(f"{file.name}, line {lines.line_num}", columns, cells, shape) for cells in lines if cells
        ]
    except csv.Error as error:
        raise refuse(f"{file.name}, line {lines.line_num}", f"it is no CSV ({error})", _NEXT_STEP) from error


def _text(file: Path) -> str:
    content = file.read_bytes()
    try:
        # Spreadsheets begin a UTF-8 file with a byte order mark.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise refuse(f"{file.name}, line {line}", "it is not UTF-8", "save it as UTF-8.") from error


def _label(where: str, columns: list[str], cells: list[str], shape: tuple[int, ...]) -> _Label:
    if len(cells) != len(columns):
        raise refuse(where, f"it has {len(cells)} values, not {len(columns)}", _NEXT_STEP)
    value = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
    count, height, width = shape
    image = _number(where, "frame", value["frame"])
    if image != int(image) or not 0 <= image < count:
        raise refuse(where, f"there is no frame {value['frame']}, only 0 to {count - 1}", _NEXT_STEP)
    y_px, x_px = (_number(where, name, value[name]) for name in ("y_px", "x_px"))
    if not (-0.5 <= y_px < height - 0.5 and -0.5 <= x_px < width - 0.5):
        raise refuse(
            where, f"y {y_px:g}, x {x_px:g} is outside the image of {height} x {width} pixels", _NEXT_STEP
        )
    if not value["class"]:
        raise refuse(where, "it names no class", _NEXT_STEP)
    return _Label(int(image), y_px, x_px, value["class"])


def _number(where: str, name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise _no_number(where, name, text) from None
    if not isfinite(number):
        raise _no_number(where, name, text)
    return number


def _no_number(where: str, name: str, text: str) -> DataFormatError:
    return refuse(where, f"its {name} is {text!r}, not a number", _NEXT_STEP)
