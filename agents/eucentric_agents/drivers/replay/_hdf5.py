"""HDF5: our own shards, and any two- or three-dimensional data set (NeXus, HyperSpy, plain)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from eucentric_core import ConfigurationError, DataFormatError
from eucentric_transfer import ShardReader

from ...vendor_files import metres_per_unit
from ._errors import refuse
from ._images import Calibration, ImageSeries, grey_series
from ._labels import labels_of_truth

__all__ = ["read_hdf5"]

_MIN_SIDE_PX = 16
_TRUTH = "truth"


def read_hdf5(path: Path, dataset: str | None) -> ImageSeries:
    """Read a shard, or the only (or chosen) image data set of another file; see `read_images`."""
    with h5py.File(path, "r") as file:
        if file.attrs.get("format") != "eucentric-shard":
            found = _choose(path, file, dataset)
            return ImageSeries(grey_series(path.name, found[()]), _calibration(found))
    return _read_shard(path, dataset)


def _read_shard(path: Path, stream: str | None) -> ImageSeries:
    with ShardReader(path) as shard:
        images = [name for name in shard.streams if name != _TRUTH and len(shard.headers(name)[0].shape) == 2]
        chosen = stream or ("haadf" if "haadf" in images else "".join(images[:1]))
        if chosen not in images:
            raise refuse(
                path.name, f"it has no image stream {stream or ''!r}, only {', '.join(shard.streams)}"
            )
        headers = shard.headers(chosen)
        if len({(header.shape, header.dtype, header.axes) for header in headers}) > 1:
            raise refuse(path.name, "its frames differ in size or calibration", "replay another shard.")
        image_of = {header.sequence: image for image, header in enumerate(headers)}
        truths = (truth for truth in shard.frames(_TRUTH) if truth.header.sequence in image_of)
        labels = {image_of[truth.header.sequence]: labels_of_truth(path.name, truth) for truth in truths}
        stack = np.stack([frame.array for frame in shard.frames(chosen)])
        optics = headers[0].optics.model_dump(exclude={"field_of_view_m"}, exclude_none=True)
        axes = headers[0].axes
        calibrated = len(axes) == 2 and all(axis.unit == "m" for axis in axes)
        return ImageSeries(
            grey_series(path.name, stack),
            Calibration(axes[0].scale, axes[1].scale, axes[0].offset, axes[1].offset) if calibrated else None,
            optics,
            shard.simulated,
            labels,
        )


def _choose(path: Path, file: h5py.File, dataset: str | None) -> h5py.Dataset:
    if dataset is not None:
        found = file.get(dataset)
        if not isinstance(found, h5py.Dataset):
            raise refuse(
                path.name, f"it has no data set {dataset!r}", "correct --signal, or agent.driver.dataset."
            )
        return found
    candidates: list[h5py.Dataset] = []

    def visit(_name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim in (2, 3) and _could_be_images(item):
            candidates.append(item)

    file.visititems(visit)
    if not candidates:
        raise refuse(path.name, "it holds no data set that could be an image or a series of images")
    # Where several could be meant, a calibrated one is an image and the others are not.
    best = [item for item in candidates if _calibration(item) is not None] or candidates
    if len(best) > 1:
        names = ", ".join(item.name for item in best[:8])
        raise ConfigurationError(
            f"{path.name} holds {len(best)} data sets that could be meant: {names}.",
            safe="nothing was replayed.",
            next_step="name one: --signal PATH, or agent.driver.dataset.",
        )
    return best[0]


def _could_be_images(data: h5py.Dataset) -> bool:
    return data.dtype.kind in "uifb" and min(data.shape[-2:]) >= _MIN_SIDE_PX


def _calibration(data: h5py.Dataset) -> Calibration | None:
    size = data.attrs.get("pixel_size_m")
    if size is not None and np.size(size) == 1:
        return Calibration(float(size), float(size))
    y, x = (_nexus_axis(data, i) or _hyperspy_axis(data, i) for i in (data.ndim - 2, data.ndim - 1))
    return None if y is None or x is None else Calibration(y[0], x[0], y[1], x[1])


def _hyperspy_axis(data: h5py.Dataset, index: int) -> tuple[float, float] | None:
    axis = data.parent.get(f"axis-{index}")
    if not isinstance(axis, h5py.Group):
        return None
    per_unit = metres_per_unit(_text(axis.attrs.get("units")))
    if per_unit is None or "scale" not in axis.attrs:
        return None
    return float(axis.attrs["scale"]) * per_unit, float(axis.attrs.get("offset", 0.0)) * per_unit


def _nexus_axis(data: h5py.Dataset, index: int) -> tuple[float, float] | None:
    names = np.atleast_1d(data.parent.attrs.get("axes", []))
    if len(names) != data.ndim:
        return None
    axis = data.parent.get(_text(names[index]) or "")
    if not isinstance(axis, h5py.Dataset) or axis.shape != (data.shape[index],):
        return None
    per_unit = metres_per_unit(_text(axis.attrs.get("units")))
    if per_unit is None:
        return None
    values = np.asarray(axis[()], float)
    steps = np.diff(values)
    if not np.allclose(steps, steps[0], rtol=1e-3, atol=0):
        raise DataFormatError(
            f"Axis {axis.name} has no constant step.",
            safe="nothing was replayed.",
            next_step="resample the data, or give agent.driver.pixel_size_m and remove the axis.",
        )
    return float(steps.mean()) * per_unit, float(values[0]) * per_unit


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return None if value is None else str(value)
