"""A table of what was found, row by row, as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from eucentric_models.engines import Column

__all__ = ["TableWriter"]

_SIGNIFICANT_DIGITS = 7
"""What single precision holds."""


class TableWriter:
    """Writes the tables of one image after another into one file. A context manager.

    Args:
        path: of the file.
        several: put the number of the image in front of every row.
    """

    def __init__(self, path: Path, *, several: bool) -> None:
        self._stream = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._stream)
        self._several = several
        self._header: list[str] | None = None

    def write(self, image: int, columns: Mapping[str, Column]) -> None:
        """Add the rows of an image; all images have the same columns."""
        header = [*(["image"] if self._several else []), *columns]
        if self._header is None:
            self._header = header
            self._writer.writerow(header)
        elif header != self._header:
            raise ValueError(f"image {image} has the columns {header}, those before {self._header}")
        for row in zip(*columns.values(), strict=True):
            cells = [_cell(value) for value in row]
            self._writer.writerow([image, *cells] if self._several else cells)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()


def _cell(value: object) -> object:
    if isinstance(value, float | np.floating):
        return f"{float(value):.{_SIGNIFICANT_DIGITS}g}"
    return value.item() if isinstance(value, np.generic) else value
