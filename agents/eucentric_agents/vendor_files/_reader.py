"""Reading a vendor's file through RosettaSciIO, an optional GPL package."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from eucentric_core import ConfigurationError

from ._doubts import without_assumptions
from ._errors import refuse_file
from ._plain import plain
from ._signal import VendorAxis, VendorSignal

__all__ = ["KNOWN_SUFFIXES", "is_whole_in_one_file", "load_signals", "reader_suffixes"]

KNOWN_SUFFIXES = frozenset({".dm3", ".dm4", ".emd", ".hspy", ".ser", ".mrc", ".rpl", ".unf", ".img"})
"""Suffixes that everybody knows for a vendor's; RosettaSciIO knows more."""

# Of several readers for a suffix, the one that needs no further package and checks what it reads is first.
_PREFERRED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"mrc": ("MRC",), "hdf5": ("HSPY",), "h5": ("HSPY", "NeXus"), "nxs": ("NeXus",)}
)
# Everything of these formats is in the one file; of the others, the data may lie in files beside it.
_WHOLE = frozenset(
    {
        "dm3",
        "dm4",
        "emd",
        "hspy",
        "ser",
        "mrc",
        "ali",
        "tif",
        "tiff",
        "blo",
        "png",
        "bmp",
        "gif",
        "jpg",
        "jpeg",
        "npy",
        "bcf",
        "spx",
        "msa",
        "emsa",
        "unf",
        "tvips",
    }
)
_TAGS_ERRORS = (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError)


def load_signals(path: Path, *, images_only: bool = False) -> list[VendorSignal]:
    """Read everything a file holds. A reader may crash or hang: `ApartReader` calls this in another process.

    Args:
        path: the file.
        images_only: leave spectra unread where the format allows it.

    Raises:
        ConfigurationError: RosettaSciIO, or a package it needs for this format, is not installed.
        DataFormatError: no reader knows the suffix, or none that does can read the file.
    """
    problems: list[str] = []
    missing: ModuleNotFoundError | None = None
    for name, module in _readers(path):
        options: dict[str, Any] = {"select_type": "images"} if images_only and module.endswith(".emd") else {}
        try:
            found = importlib.import_module(module).file_reader(str(path), **options)
            return [_signal(path, name, signal) for signal in found]
        except ModuleNotFoundError as error:
            missing = error
        except MemoryError as error:
            raise refuse_file(path.name, "its reader wants more memory than it may have") from error
        except Exception as error:  # noqa: BLE001 - what a reader raises on another's file may be anything
            problems.append(f"{name}: {getattr(error, 'what', None) or str(error) or type(error).__name__}")
    if missing is not None and not problems:
        raise ConfigurationError(
            f"{path.name} needs a package that RosettaSciIO does not bring: {missing.name or missing}.",
            safe="nothing of the file was used.",
            next_step="install that package, or save the data in another format.",
        ) from missing
    raise refuse_file(path.name, f"it cannot be read ({'; '.join(problems)[:600]})")


def is_whole_in_one_file(path: Path) -> bool:
    """Whether the content of this one file decides what is read; otherwise others beside it may, too."""
    return path.suffix.lower().removeprefix(".") in _WHOLE


@cache
def reader_suffixes() -> frozenset[str]:
    """Suffixes that some reader of RosettaSciIO knows; without it, those that it is known for."""
    try:
        rsciio = importlib.import_module("rsciio")
    except ModuleNotFoundError:
        return KNOWN_SUFFIXES
    known = {f".{suffix.lower()}" for plugin in rsciio.IO_PLUGINS for suffix in plugin["file_extensions"]}
    return KNOWN_SUFFIXES | known


def _readers(path: Path) -> list[tuple[str, str]]:
    """Names and modules of the readers for a file, the likeliest first."""
    try:
        rsciio = importlib.import_module("rsciio")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{path.name} is in a vendor's format, which needs RosettaSciIO.",
            safe="nothing of the file was used.",
            next_step="install it with: pip install 'eucentric[vendor-formats]'.",
        ) from error
    suffix = path.suffix.lower().removeprefix(".")
    first = _PREFERRED.get(suffix, ())
    known = {plugin["name"]: plugin for plugin in rsciio.IO_PLUGINS}
    names = [name for name in first if name in known]
    names += [
        name
        for name, plugin in known.items()
        if suffix in {extension.lower() for extension in plugin["file_extensions"]} and name not in names
    ]
    if not names:
        raise refuse_file(path.name, f"no reader knows the suffix {path.suffix!r}")
    return [(name, known[name]["api"]) for name in names]


def _signal(path: Path, reader: str, found: dict[str, Any]) -> VendorSignal:
    data = found["data"]
    # A spectrum image may come sparse or not yet computed.
    for densify in ("todense", "compute"):
        if not isinstance(data, np.ndarray) and hasattr(data, densify):
            data = getattr(data, densify)()
    data = np.asarray(data)
    original = found.get("original_metadata") or {}
    metadata = found.get("metadata") or {}
    _apply_mapping(metadata, original, found.get("mapping") or {})
    general, signal = metadata.get("General", {}), metadata.get("Signal", {})
    kept, original_kept = plain(metadata), plain(original)
    original_metadata = original_kept if isinstance(original_kept, dict) else {}
    axes, remark = without_assumptions(
        path, reader, _axes(path, found.get("axes") or [], data.shape), original_metadata
    )
    return VendorSignal(
        data=data,
        axes=axes,
        title=str(general.get("title") or ""),
        signal_type=str(signal.get("signal_type") or ""),
        reader=reader,
        metadata=kept if isinstance(kept, dict) else {},
        original_metadata=original_metadata,
        remark=remark,
    )


def _axes(path: Path, axes: list[dict[str, Any]], shape: tuple[int, ...]) -> tuple[VendorAxis, ...]:
    # Readers list the axes in the order of the array; what they say in `index_in_array` is not always true.
    sizes = tuple(int(axis["axis"].size if "axis" in axis else axis["size"]) for axis in axes)
    if sizes != shape:
        raise refuse_file(
            path.name, f"its reader names axes of {list(sizes)} points for an array of {list(shape)}"
        )
    return tuple(_axis(axis) for axis in axes)


def _axis(axis: dict[str, Any]) -> VendorAxis:
    unit = axis.get("units")
    scale, offset = axis.get("scale"), axis.get("offset", 0.0)
    if "axis" in axis:
        # Given point by point: calibrated only if the points have one distance.
        points = np.asarray(axis["axis"], float)
        steps = np.diff(points)
        even = steps.size > 0 and bool(np.allclose(steps, steps[0], rtol=1e-3, atol=0))
        scale, offset = (steps.mean(), points[0]) if even else (None, 0.0)
    return VendorAxis(
        name=str(axis.get("name") or ""),
        unit=unit if isinstance(unit, str) else None,
        scale=float("nan") if scale is None else float(scale),
        offset=float(offset),
        navigate=bool(axis.get("navigate", False)),
    )


def _apply_mapping(metadata: dict[str, Any], original: Any, mapping: Mapping[str, Any]) -> None:
    """Fill in what a reader says where to find: it leaves that to whoever calls it."""
    for source, (target, convert) in mapping.items():
        try:
            value = original
            for part in source.split("."):
                value = value[part]
            if convert is not None:
                value = convert(value)
        except _TAGS_ERRORS:
            continue
        if value is None:
            continue
        *groups, name = target.split(".")
        place = metadata
        for group in groups:
            below = place.setdefault(group, {})
            if not isinstance(below, dict):
                break
            place = below
        else:
            place.setdefault(name, value)
