"""A finished montage: the mosaic, where its tiles lie, and how well they fit."""

from __future__ import annotations

import dataclasses
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from eucentric_core import Frame

from ._extras import needs
from ._stage_facts import StageFacts

__all__ = ["MontageResult", "MontageTile", "TilePair"]


@dataclass(frozen=True, slots=True)
class MontageTile:
    """A tile: what the stage said, and where it truly lies, in stage axes (m) and in the mosaic (pixels).

    `y_px, x_px` is the place of its first pixel. `registered`: False where only the stage says so.
    """

    row: int
    column: int
    stage: StageFacts
    x_m: float
    y_m: float
    y_px: float
    x_px: float
    registered: bool


@dataclass(frozen=True, slots=True)
class TilePair:
    """Two neighbouring tiles (indices into the tiles) and what registering them gave.

    `offset_px` is where the second lies on the first, (y, x); `residual_px` what is left of it after the
    fit. `reason` says why the pair was not used; None if it was.
    """

    first: int
    second: int
    offset_px: tuple[float, float] | None = None
    ncc: float | None = None
    rival_ncc: float | None = None
    residual_px: tuple[float, float] | None = None
    reason: str | None = None

    @property
    def used(self) -> bool:
        """Whether the tiles' positions rest on it."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class MontageResult:
    """The mosaic (float32, NaN where no tile lies; axes from the stage's origin), tiles and pairs."""

    frame: Frame
    tiles: tuple[MontageTile, ...]
    pairs: tuple[TilePair, ...]

    @property
    def failed(self) -> tuple[TilePair, ...]:
        """The pairs that were not used, each with its reason."""
        return tuple(pair for pair in self.pairs if not pair.used)

    @property
    def residual_rms_px(self) -> float | None:
        """Root mean square length of the residuals of the pairs used; None if there are none."""
        residuals = [pair.residual_px for pair in self.pairs if pair.used and pair.residual_px is not None]
        if not residuals:
            return None
        return float(np.sqrt(np.mean(np.sum(np.square(residuals), axis=1))))

    def save(self, path: Path) -> None:
        """Write an HDF5 file (NeXus NXdata) with the mosaic and both tables.

        The file appears under its name once it is complete.
        """
        header = self.frame.header
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            with h5py.File(temporary, "w") as file:
                file.attrs["default"] = "entry"
                entry = file.create_group("entry")
                entry.attrs.update({"NX_class": "NXentry", "default": "mosaic"})
                data = entry.create_group("mosaic")
                data.attrs.update({"NX_class": "NXdata", "signal": "data", "axes": ["y", "x"]})
                data.create_dataset("data", data=self.frame.array, compression="gzip", shuffle=True)
                data.attrs["header"] = header.model_dump_json()
                for axis, count in zip(header.axes, header.shape, strict=True):
                    values = data.create_dataset(
                        axis.name, data=axis.offset + axis.scale * np.arange(count, dtype=np.float64)
                    )
                    values.attrs["units"] = axis.unit
                entry.create_dataset("tiles", data=_table([_flat_tile(tile) for tile in self.tiles]))
                entry.create_dataset("pairs", data=_table([_flat_pair(pair) for pair in self.pairs]))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def plot(self, axes: Any = None) -> Any:
        """Draw the mosaic with the tiles' middles, green where registered; returns the matplotlib axes.

        Raises:
            UnsupportedError: matplotlib is not installed.
        """
        if axes is None:
            _figure, axes = needs("matplotlib.pyplot", extra="notebook").subplots()
        y, x = self.frame.header.axes
        ny, nx = self.frame.array.shape
        left, top = (axis.offset * 1e9 for axis in (x, y))
        extent = (left, left + nx * x.scale * 1e9, top + ny * y.scale * 1e9, top)
        axes.imshow(self.frame.array, cmap="gray", extent=extent)
        for registered, colour in ((True, "tab:green"), (False, "tab:red")):
            chosen = [tile for tile in self.tiles if tile.registered is registered]
            axes.plot([t.x_m * 1e9 for t in chosen], [t.y_m * 1e9 for t in chosen], "+", color=colour)
        axes.set(
            xlabel="x (nm)",
            ylabel="y (nm)",
            title=f"{len(self.tiles)} tiles, {len(self.failed)} pairs unused",
        )
        return axes


def _flat_tile(tile: MontageTile) -> dict[str, Any]:
    values = {f.name: getattr(tile, f.name) for f in dataclasses.fields(tile) if f.name != "stage"}
    return {**values, **tile.stage.model_dump()}


def _flat_pair(pair: TilePair) -> dict[str, Any]:
    offset, residual = (value or (None, None) for value in (pair.offset_px, pair.residual_px))
    return {
        "first": pair.first,
        "second": pair.second,
        "offset_y_px": offset[0],
        "offset_x_px": offset[1],
        "ncc": pair.ncc,
        "rival_ncc": pair.rival_ncc,
        "residual_y_px": residual[0],
        "residual_x_px": residual[1],
        "used": pair.used,
        "reason": pair.reason or "",
    }


def _table(rows: list[dict[str, Any]]) -> Any:
    """A structured array: whole numbers, flags and texts as such, everything else float64, None as NaN."""
    if not rows:
        return np.zeros(0, [("first", np.int64)])
    kinds: list[tuple[str, Any]] = []
    for key, value in rows[0].items():
        if isinstance(value, bool):
            kinds.append((key, np.bool_))
        elif isinstance(value, int):
            kinds.append((key, np.int64))
        elif isinstance(value, str):
            kinds.append((key, h5py.string_dtype()))
        else:
            kinds.append((key, np.float64))
    table = np.zeros(len(rows), kinds)
    for index, row in enumerate(rows):
        table[index] = tuple(np.nan if value is None else value for value in row.values())
    return table
