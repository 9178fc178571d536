"""Small files as vendors' programs write them, made for a test."""

from __future__ import annotations

import importlib
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["axis", "write_hspy", "write_mrc", "write_ser"]


def axis(
    name: str, unit: str | None, scale: float, *, offset: float = 0.0, navigate: bool = False
) -> dict[str, Any]:
    """An axis as HyperSpy describes it."""
    found: dict[str, Any] = {"name": name, "scale": scale, "offset": offset, "navigate": navigate}
    return found if unit is None else {**found, "units": unit}


def write_hspy(
    path: Path,
    data: NDArray[Any],
    axes: Sequence[dict[str, Any]],
    *,
    title: str = "",
    signal_type: str = "",
    metadata: dict[str, Any] | None = None,
    original: dict[str, Any] | None = None,
) -> Path:
    """A HyperSpy file of one signal, or with one more signal."""
    described = [
        {**item, "size": size, "_type": "UniformDataAxis", "is_binned": False}
        for item, size in zip(axes, data.shape, strict=True)
    ]
    signal = {
        "data": data,
        "axes": described,
        "metadata": {
            "General": {"title": title},
            "Signal": {"signal_type": signal_type},
            **(metadata or {}),
        },
        "original_metadata": original or {},
        "learning_results": {},
        "package_info": {"package": "none", "package_version": "0"},
        "tmp_parameters": {},
        "attributes": {"_lazy": False},
        "models": {},
    }
    importlib.import_module("rsciio.hspy").file_writer(str(path), signal)
    return path


def write_mrc(path: Path, data: NDArray[np.float32], *, pixel_size_angstrom: float) -> Path:
    """An MRC file (mode 2) after the CCP-EM description of 2014."""
    stack = data if data.ndim == 3 else data[np.newaxis]
    nz, ny, nx = stack.shape
    cell = (nx * pixel_size_angstrom, ny * pixel_size_angstrom, float(nz))
    header = struct.pack(
        "<10i6f3i3f2i", nx, ny, nz, 2, 0, 0, 0, nx, ny, nz, *cell, 90, 90, 90, 1, 2, 3, 0, 1, 2, 0, 0
    )
    header = header.ljust(208, b"\0") + b"MAP " + bytes([0x44, 0x44, 0, 0])
    path.write_bytes(header.ljust(1024, b"\0") + stack.astype("<f4").tobytes())
    return path


def write_ser(path: Path, image: NDArray[np.uint16], *, pixel_size_m: float) -> Path:
    """A TIA series (version 0x0210) of one image."""
    ny, nx = image.shape
    dimension = struct.pack("<i2d3i", 1, 0.0, 1.0, 0, 0, 0)
    data_at = 30 + len(dimension) + 8
    head = struct.pack("<3H6i", 0x4949, 0x0197, 0x0210, 0x4122, 0x4152, 1, 1, 30 + len(dimension), 1)
    element = struct.pack("<2di2di", 1e-7, pixel_size_m, 0, 2e-7, pixel_size_m, 0)
    element += struct.pack("<h2i", 2, nx, ny) + image.astype("<u2").tobytes()
    offsets = struct.pack("<2i", data_at, data_at + len(element))
    path.write_bytes(head + dimension + offsets + element + struct.pack("<2Hi", 0x4152, 0, 1_600_000_000))
    return path
