"""Data sets for others: OME-Zarr for viewers, RO-Crate with DataCite metadata for an archive."""

from __future__ import annotations

from ._citation import Citation, Creator, read_citation
from ._crate import export_crate
from ._ome_zarr import export_ome_zarr
from ._whole import Progress

__all__ = ["Citation", "Creator", "Progress", "export_crate", "export_ome_zarr", "read_citation"]
