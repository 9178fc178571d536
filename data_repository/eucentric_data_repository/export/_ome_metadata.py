"""The metadata of OME-Zarr 0.5, checked by its models before they are written, and the provenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from eucentric_core import FrameHeader

from ._ome_layout import OmeLayout
from ._source import FrameSeries, Source

__all__ = ["Window", "image_attributes", "root_attributes"]


@dataclass(frozen=True, slots=True)
class Window:
    """Grey values: the lowest and highest there are, and between which of them an image is shown."""

    low: float
    high: float
    start: float
    end: float


def image_attributes(
    name: str, layout: OmeLayout, window: Window | None, series: FrameSeries
) -> dict[str, Any]:
    """Attributes of one image's group: `ome` as the specification has it, `eucentric` for provenance.

    Args:
        name: of the image.
        layout: of its arrays.
        window: how it is shown; None where each channel would want its own.
        series: what it is made of.
    """
    from ome_zarr_models.common.omero import Channel, Omero
    from ome_zarr_models.common.omero import Window as OmeroWindow
    from ome_zarr_models.v05.axes import Axis
    from ome_zarr_models.v05.image import ImageAttrs
    from ome_zarr_models.v05.multiscales import Dataset, Multiscale

    multiscale = Multiscale(
        name=name,
        axes=[
            Axis(name=a.name, type=a.type, **({} if a.unit is None else {"unit": a.unit}))
            for a in layout.axes
        ],
        datasets=tuple(
            Dataset.build(path=str(level), scale=layout.scale(level), translation=layout.translation(level))
            for level in range(len(layout.sides))
        ),
        type="local mean",
        metadata={"method": "mean over 2 x 2 pixels", "version": version("eucentric")},
    )
    ome = ImageAttrs(version="0.5", multiscales=[multiscale]).model_dump(mode="json", exclude_none=True)
    if window is not None:
        shown = OmeroWindow(min=window.low, max=window.high, start=window.start, end=window.end)
        channel = Channel(color="FFFFFF", window=shown, label=name, active=True)
        ome["omero"] = Omero(channels=[channel]).model_dump(mode="json") | {"rdefs": {"model": "greyscale"}}
    return {"ome": ome, "eucentric": _series_facts(series)}


def root_attributes(
    source: Source, images: Sequence[str], left_out: Sequence[dict[str, str]]
) -> dict[str, Any]:
    """Attributes of the group that holds the images: that it is a collection, and where it came from."""
    dataset = source.dataset
    return {
        "ome": {"version": "0.5", "bioformats2raw.layout": 3},
        "eucentric": {
            "dataset_id": dataset.dataset_id,
            "instrument": dataset.instrument,
            "session": dataset.session,
            "sample": dataset.sample,
            "material": dataset.material,
            "simulated": dataset.simulated,
            "notice": "SIMULATED: computed, not measured." if dataset.simulated else None,
            "state": dataset.state,
            "missing_acquisitions": dataset.missing,
            "images": list(images),
            "left_out": list(left_out),
            "source_shards": [
                {"file_name": e.shard.file_name, "sha256": e.shard.sha256, "size_bytes": e.shard.size_bytes}
                for e in source.shards
            ],
            "recorded_with": sorted({entry.recorded_with for entry in source.shards}),
            "exported_with": f"eucentric {version('eucentric')}",
        },
    }


def _series_facts(series: FrameSeries) -> dict[str, Any]:
    first = series.header
    return {
        "stream": first.stream,
        "simulated": any(header.simulated for header in series.headers),
        "calibrated": bool(first.axes) and all(axis.unit not in ("", "px") for axis in first.axes),
        "optics": first.optics.model_dump(mode="json") if _same_optics(series.headers) else None,
        "frames": [
            {
                "sequence": header.sequence,
                "acquired_utc": header.acquired_utc.isoformat(),
                "dose_e_per_a2": header.dose_e_per_a2,
                "stage": header.stage.model_dump(mode="json"),
            }
            for header in series.headers
        ],
    }


def _same_optics(headers: Sequence[FrameHeader]) -> bool:
    return all(header.optics == headers[0].optics for header in headers)
