"""Lines for a notebook that open a data set, and notebooks of them. Pure.

Every one of them is run by a test, on a data set as an agent records it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from eucentric_data_repository import Database

__all__ = ["SNIPPETS", "notebook", "snippet"]

SNIPPETS = {"hyperspy": "HyperSpy", "napari": "napari", "h5py": "h5py and NumPy"}
"""By name: with what a data set is opened."""

_FETCH_FILE = """from pathlib import Path

import hdf5plugin  # noqa: F401 - before anything is read: it brings the compression

from eucentric_data_repository import Catalogue, fetch_dataset

# Every file is checked against its hash; what lies there already is not copied again.
with Catalogue(Path({place})) as catalogue:
    files = fetch_dataset(catalogue, {dataset}, Path("data"))
"""
_FETCH_SERVER = """from pathlib import Path

import hdf5plugin  # noqa: F401 - before anything is read: it brings the compression

from eucentric_core import load_settings
from eucentric_data_repository import fetch_dataset, open_catalogue

# Every file is checked against its hash; what lies there already is not copied again.
with open_catalogue(load_settings()) as catalogue:
    files = fetch_dataset(catalogue, {dataset}, Path("data"))
"""
_READ = """import h5py
import numpy as np

stream = {stream}
parts = []
for path in files:
    with h5py.File(path) as shard:
        group = shard["entry"][stream]
        parts.append(group["data"][:])
        pixel_size_m = float(abs(group["x"][1] - group["x"][0]))
frames = np.concatenate(parts)
print(frames.shape, frames.dtype, f"{{pixel_size_m * 1e12:.4g}} pm per pixel")
"""
_HYPERSPY = """import hyperspy.api as hs

stacks = [hs.load(str(path), file_format="nexus", use_default=True) for path in files]
signal = hs.stack(stacks, axis=0) if len(stacks) > 1 else stacks[0]
print(signal)
"""
_NAPARI = """import napari

pixel_size_nm = pixel_size_m * 1e9
viewer = napari.Viewer()
scale, units = (1, pixel_size_nm, pixel_size_nm), ("pixel", "nm", "nm")
viewer.add_image(frames, name={dataset}, scale=scale, units=units)
viewer.scale_bar.visible = True
napari.run()
"""


def snippet(kind: str, dataset_id: str, stream: str, database: Database) -> tuple[str, ...]:
    """Cells that open a data set.

    Args:
        kind: one of `SNIPPETS`.
        dataset_id: which.
        stream: of images.
        database: of the catalogue that lists it.
    """
    dataset = json.dumps(dataset_id)
    if isinstance(database.place, Path):
        fetch = _FETCH_FILE.format(place=json.dumps(str(database.place)), dataset=dataset)
    else:
        fetch = _FETCH_SERVER.format(dataset=dataset)
    read = _READ.format(stream=json.dumps(stream))
    if kind == "hyperspy":
        return fetch, _HYPERSPY
    return (fetch, read, _NAPARI.format(dataset=dataset)) if kind == "napari" else (fetch, read)


def notebook(title: str, cells: Sequence[str]) -> str:
    """The cells as a Jupyter notebook, below a title."""
    document = {
        "cells": [
            {"cell_type": "markdown", "id": "title", "metadata": {}, "source": f"# {title}"},
            *(
                {
                    "cell_type": "code",
                    "id": f"cell-{number}",
                    "metadata": {},
                    "execution_count": None,
                    "outputs": [],
                    "source": cell.rstrip("\n"),
                }
                for number, cell in enumerate(cells)
            ),
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1)
