"""Applying a model to every image of a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from eucentric_core import ConfigurationError, sha256_file
from eucentric_models.engines import EngineResult
from eucentric_models.pictures import draw_result

from ._image import AskPixelSize, CalibratedImages, read_calibrated
from ._named import OpenedModel, opened_model
from ._summary import merged_summary
from ._table import TableWriter
from ._whole import ResultsFolder, whole_results

__all__ = ["Request", "Tell", "apply_model"]

Tell = Callable[[int, int, str], None]
"""Called as `tell(done, of, what)` after every image."""

_MAX_PICTURES = 16
_MAX_PIXELS = 1 << 26


@dataclass(frozen=True, slots=True)
class Request:
    """What is applied to what; see `eucentric models apply --help`."""

    model: str
    file: Path
    output: Path
    pixel_size_pm: float | None = None
    uncalibrated: bool = False
    signal: str | None = None
    device: str = "cpu"
    config: Path | None = None
    support: Path | None = None


def apply_model(
    request: Request, *, ask_pixel_size_pm: AskPixelSize | None = None, tell: Tell | None = None
) -> dict[str, JsonValue]:
    """Apply a model and write table, pictures and summary; all of them appear, or nothing.

    Args:
        request: what is applied to what.
        ask_pixel_size_pm: asks a person, where the file does not say it.
        tell: told about every image.

    Returns:
        What is in the file of the summary.

    Raises:
        EucentricError: the model is not there or not usable, or the input cannot be read or analysed.
    """
    started_s = time.monotonic()
    with opened_model(request.model, config=request.config, device=request.device) as named:
        opened = named
        if opened.takes != "image":
            raise ConfigurationError(
                f"The model {request.model} takes {opened.takes}, not images.",
                safe="nothing was written.",
                next_step="name a model for images; docs/models.md says how the others are used.",
            )
        images = read_calibrated(
            request.file,
            signal=request.signal,
            pixel_size_pm=request.pixel_size_pm,
            uncalibrated=request.uncalibrated,
            ask=ask_pixel_size_pm,
        )
        _require_bounded(request.file.name, images.stack)
        if request.support is not None:
            from ._support import with_support  # scipy and more, only for who asks for it

            opened = with_support(opened, request.support, images)
        with whole_results(request.output) as folder:
            pictures, results = _apply_to_all(opened, images, request.file, folder, tell)
            summary = _summary(request.file, opened, images, results)
            summary |= {"table": f"{request.file.stem}.csv", "pictures": pictures}
            summary["seconds"] = round(time.monotonic() - started_s, 3)
            folder.write_summary(request.file.stem, summary)
    return summary | {"output": str(request.output)}


def _apply_to_all(
    opened: OpenedModel, images: CalibratedImages, file: Path, folder: ResultsFolder, tell: Tell | None
) -> tuple[list[JsonValue], list[EngineResult]]:
    """Names of the pictures, and the results in the order of the images."""
    count = len(images.stack)
    pictures: list[JsonValue] = []
    results: list[EngineResult] = []
    with TableWriter(folder.path / f"{file.stem}.csv", several=count > 1) as table:
        for index, image in enumerate(images.stack):
            result = opened.model.apply(image, pixel_size_m=images.pixel_size_m)
            table.write(index, result.columns(images.pixel_size_m))
            if index < _MAX_PICTURES:
                name = f"{file.stem}.png" if count == 1 else f"{file.stem}-{index:04d}.png"
                picture = draw_result(
                    image, result, pixel_size_m=images.pixel_size_m, caption=_caption(file, opened, images)
                )
                picture.save(folder.path / name, format="PNG")
                pictures.append(name)
            results.append(result)
            if tell is not None:
                tell(index + 1, count, file.name)
    return pictures, results


def _caption(file: Path, opened: OpenedModel, images: CalibratedImages) -> str:
    description = opened.model.description
    size = "no pixel size" if images.pixel_size_m is None else f"{images.pixel_size_m * 1e12:.4g} pm/px"
    return f"{description.name} v{description.version} · {size} · {file.name}"


def _summary(
    file: Path, opened: OpenedModel, images: CalibratedImages, results: list[EngineResult]
) -> dict[str, JsonValue]:
    description = opened.model.description
    scores = [result.drift_score for result in results if result.drift_score is not None]
    unsure: list[JsonValue] = [*images.doubts]
    for index, result in enumerate(results):
        where = f"Image {index}: " if len(results) > 1 else ""
        unsure += [f"{where}{sentence}" for sentence in result.unsure]
    shape: list[JsonValue] = [int(side) for side in images.stack.shape[1:]]
    return {
        "schema_version": 1,
        "input": file.name,
        "input_sha256": sha256_file(file),
        "model": {
            "name": description.name,
            "version": description.version,
            "engine": description.engine,
            "origin": opened.origin,
            "signed": opened.signed,
            "classes": list(description.classes),
        },
        "images": len(results),
        "shape_px": shape,
        "pixel_size_pm": None if images.pixel_size_m is None else images.pixel_size_m * 1e12,
        "pixel_size_from": images.pixel_size_from,
        **merged_summary([result.summary() for result in results]),
        "drift_score": max(scores) if scores else None,
        "unsure": unsure,
    }


def _require_bounded(name: str, stack: NDArray[np.generic]) -> None:
    pixels = int(stack.shape[1]) * int(stack.shape[2])
    if pixels > _MAX_PIXELS:
        raise ConfigurationError(
            f"The images of {name} have {pixels} pixels, more than {_MAX_PIXELS}.",
            safe="nothing was written.",
            next_step="cut or bin them.",
        )
