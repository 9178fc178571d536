"""A recipe and an engine of somebody else: the mean image, and how far an image is from it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Literal

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from eucentric_core import GoldenChip, write_atomic
from eucentric_hpc import TrainingDataError
from eucentric_hpc.recipes import BundleDraft, DataReport, Merit, RecipeData, RecipeProgress, TrainingNote
from eucentric_models.engines import Column, EngineModel, ModelDescription

NAME = "template"


class TemplateParameters(BaseModel):
    """Weight of the mean image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: float = Field(default=1.0, gt=0, le=10)


class Template:
    """The recipe."""

    name = NAME
    engine = NAME
    Parameters = TemplateParameters
    inputs: Mapping[str, str] = {"images": "images of one shape (.npy)"}
    merits = (Merit(name="distance", better="lower", bound=100.0),)

    def check(self, data: RecipeData, parameters: TemplateParameters) -> DataReport:
        """Refuse images of several shapes, or none."""
        data.require_known(dict(self.inputs))
        shapes = {np.load(path, allow_pickle=False).shape for path in data.many("images")}
        if len(shapes) != 1:
            raise TrainingDataError(
                f"{len(shapes)} shapes.", safe="nothing was trained.", next_step="give images of one shape."
            )
        return DataReport(plan=(f"Average {len(data.many('images'))} images.",))

    def train(
        self,
        executor: Executor,
        data: RecipeData,
        parameters: TemplateParameters,
        work_dir: Path,
        *,
        progress: RecipeProgress | None = None,
    ) -> BundleDraft:
        """Average on a worker."""
        report = self.check(data, parameters)
        work_dir.mkdir(parents=True, exist_ok=True)
        paths = [str(path) for path in data.many("images")]
        mean = executor.submit(mean_of, paths, parameters.weight).result()
        if progress is not None:
            progress(TrainingNote(stage="average", done=1, of=1))
        files = {name: work_dir / name for name in ("mean.safetensors", "drift.json", "in.npy", "out.npy")}
        write_atomic(files["mean.safetensors"], safetensors.numpy.save({"mean": mean}))
        write_atomic(files["drift.json"], b"{}")
        np.save(files["in.npy"], mean, allow_pickle=False)
        np.save(files["out.npy"], np.zeros(1, np.float32), allow_pickle=False)
        return BundleDraft(
            engine=NAME,
            classes=("distance",),
            parameters={"weight": parameters.weight},
            files=files,
            members=("mean.safetensors",),
            drift_reference="drift.json",
            golden=(GoldenChip(frame="in.npy", expected="out.npy", max_abs_error=1e-6),),
            metrics={"images": float(len(paths))},
            report=report.plan,
        )

    def score(self, model: EngineModel, data: RecipeData) -> dict[str, float]:
        """Mean distance of images that nobody averaged."""
        images = [np.load(path, allow_pickle=False) for path in data.many("images")]
        return {"distance": float(np.mean([model.answer(image)[0] for image in images]))}


def mean_of(paths: list[str], weight: float) -> NDArray[np.float32]:
    """The weighted mean image, (ny, nx)."""
    images = [np.load(path, allow_pickle=False).astype(np.float32) for path in paths]
    return np.asarray(weight * np.mean(images, axis=0), np.float32)


class Distance:
    """The result."""

    drift_score = None
    unsure: tuple[str, ...] = ()

    def __init__(self, distance: float) -> None:
        self.distance = distance

    def columns(self, pixel_size_m: float | None) -> dict[str, Column]:
        """One row."""
        return {"distance": np.array([self.distance])}

    def summary(self) -> dict[str, JsonValue]:
        """One number."""
        return {"distance": self.distance}


class TemplateModel:
    """The open model."""

    def __init__(self, description: ModelDescription, mean: NDArray[np.float32]) -> None:
        self.description = description
        self._mean = mean

    def apply(self, image: NDArray[np.generic], *, pixel_size_m: float | None) -> Distance:
        """How far the image is from the mean."""
        return Distance(float(self.answer(image)[0]))

    def answer(self, array: NDArray[np.generic]) -> NDArray[np.float32]:
        """The distance, (1,)."""
        return np.array([np.abs(np.asarray(array, np.float32) - self._mean).mean()], np.float32)


class TemplateEngine:
    """The engine."""

    name = NAME
    takes: Literal["image", "spectra"] = "image"

    def open(self, folder: Path, description: ModelDescription, *, device: str = "cpu") -> TemplateModel:
        """Read the mean image."""
        content = (folder / description.members[0]).read_bytes()
        return TemplateModel(description, safetensors.numpy.load(content)["mean"])


RECIPE = Template()
ENGINE = TemplateEngine()
