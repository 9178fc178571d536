"""A data set as OME-Zarr 0.5: an image for each stream, with units, a pyramid, and few files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric_core import DataFormatError, require_free_space

from .._catalogue import Catalogue
from ._image_names import image_names
from ._ome_layout import OmeLayout, layout_for, why_not
from ._ome_metadata import Window, image_attributes, root_attributes
from ._pyramid import halved
from ._source import FrameSeries, open_source, series_of
from ._whole import Progress, target_folder, whole_folder

__all__ = ["export_ome_zarr"]

_MAX_IMAGES = 512
_SHOWN_PERCENT = (0.1, 99.9)


def export_ome_zarr(
    catalogue: Catalogue, dataset_id: str, destination: Path, *, progress: Progress | None = None
) -> Path:
    """Write a data set as OME-Zarr 0.5 (Zarr 3): `(t, y, x)` images, spectrum images as `(t, c, y, x)`.

    The root lists the images (`OME/series`); each is a stream, or the part of a stream whose frames have one
    shape, dtype and calibration. What OME-Zarr cannot hold is left out and listed in the attributes.

    Args:
        catalogue: of the repository.
        dataset_id: which data set.
        destination: folder to make `<data set>.ome.zarr` in; made if missing.
        progress: told how many frames are written, of how many.

    Returns:
        The folder, whole.

    Raises:
        ConfigurationError: no such data set, or the destination is taken.
        IntegrityError: a shard is not what was registered; nothing is exported.
        DataFormatError: nothing of the data set can be OME-Zarr, or a shard cannot be read.
        OutOfSpaceError: the disk is full.
    """
    source = open_source(catalogue, dataset_id)
    target = target_folder(destination, f"{dataset_id}.ome.zarr")
    images, left_out = _images(series_of(source.shards))
    if not images:
        reasons = "; ".join(f"{item['stream']}: {item['reason']}" for item in left_out)
        raise DataFormatError(
            f"Nothing of {dataset_id} can be OME-Zarr ({reasons}).",
            safe="nothing was written.",
            next_step="export it as a crate of HDF5 shards, which holds everything.",
        )
    total = sum(len(series) for series in images.values())
    require_free_space(target.parent, sum(series.header.nbytes * len(series) for series in images.values()))
    done = 0
    with whole_folder(target) as building:
        root = _group(building, root_attributes(source, list(images), left_out))
        _collection(root, list(images))
        for path, series in images.items():
            for _ in _write_image(root, path, series):
                done += 1
                if progress is not None:
                    progress(done, total)
    return target


def _images(
    streams: Mapping[str, list[FrameSeries]],
) -> tuple[dict[str, FrameSeries], list[dict[str, str]]]:
    """Paths of the images and their frames; streams that are none, with the reason."""
    kept: dict[str, list[FrameSeries]] = {}
    left_out: list[dict[str, str]] = []
    for stream, parts in streams.items():
        reasons = {why_not(series.header) for series in parts}
        left_out += [{"stream": stream, "reason": reason} for reason in sorted(filter(None, reasons))]
        kept[stream] = [series for series in parts if why_not(series.header) is None]
    names = image_names({stream: len(series) for stream, series in kept.items()})
    images = {
        name: series
        for stream, found in kept.items()
        for name, series in zip(names[stream], found, strict=True)
    }
    if len(images) > _MAX_IMAGES:
        raise DataFormatError(
            f"Its frames differ so often in shape or calibration that they would be {len(images)} images.",
            safe="nothing was written.",
            next_step="export it as a crate of HDF5 shards.",
        )
    return images, left_out


def _group(folder: Path, attributes: dict[str, Any]) -> Any:
    import zarr

    group = zarr.open_group(str(folder), mode="a", zarr_format=3)
    group.attrs.update(attributes)
    return group


def _collection(root: Any, images: list[str]) -> None:
    root.create_group("OME").attrs.update({"ome": {"version": "0.5", "series": images}})


def _write_image(root: Any, path: str, series: FrameSeries) -> Iterator[None]:
    """Write all levels of an image, a file's worth of frames at a time; one step per frame."""
    layout = layout_for(series.header, len(series))
    group = root.create_group(path)
    arrays = [_array(group, level, layout, series) for level in range(len(layout.sides))]
    low, high, starts, ends = inf, -inf, [], []
    for first, block in _blocks(series, layout):
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        smaller = block
        for level, array in enumerate(arrays):
            smaller = halved(smaller) if level else block
            array[first : first + len(block)] = smaller
        start, end = np.percentile(smaller, _SHOWN_PERCENT)
        starts.append(float(start))
        ends.append(float(end))
        yield from (None for _ in range(len(block)))
    is_map = len(layout.axes) == 4
    window = None if is_map else Window(low, high, min(starts), max(ends))
    name = f"{path} SIMULATED" if any(header.simulated for header in series.headers) else path
    group.attrs.update(image_attributes(name, layout, window, series))


def _blocks(series: FrameSeries, layout: OmeLayout) -> Iterator[tuple[int, NDArray[Any]]]:
    pending: list[NDArray[Any]] = []
    first = 0
    for frame in series.frames():
        pending.append(frame.array.transpose(layout.transpose))
        if len(pending) == layout.frames_per_shard:
            yield first, np.stack(pending)
            first, pending = first + len(pending), []
    if pending:
        yield first, np.stack(pending)


def _array(group: Any, level: int, layout: OmeLayout, series: FrameSeries) -> Any:
    from zarr.codecs import BloscCodec

    return group.create_array(
        str(level),
        shape=layout.shape(level, len(series), series.header),
        chunks=layout.chunk_of(level, series.header),
        shards=layout.shard(level, series.header),
        dtype=series.header.dtype,
        compressors=BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
        dimension_names=[axis.name for axis in layout.axes],
    )
