"""Maps as a table."""

from __future__ import annotations

import csv
import io

from ._view import MapView

__all__ = ["view_csv"]


def view_csv(view: MapView) -> bytes:
    """One line for each place: where, what, and all figures."""
    target = io.StringIO()
    writer = csv.writer(target)
    size_nm = None if view.grid.pixel_size_m is None else view.grid.pixel_size_m * 1e9
    writer.writerow(
        ["row", "column", "y_px", "x_px"]
        + ([] if size_nm is None else ["y_nm", "x_nm"])
        + ["class", *(name.lower() for name in view.figures)]
    )
    for index, label in enumerate(view.labels):
        row, column = divmod(index, view.grid.columns)
        y, x = (middle - 0.5 for middle in view.grid.centre_px((row, column)))
        writer.writerow(
            [row, column, y, x]
            + ([] if size_nm is None else [f"{y * size_nm:.4f}", f"{x * size_nm:.4f}"])
            + [label, *(f"{values[index]:.4g}" for values in view.figures.values())]
        )
    return target.getvalue().encode()
