"""The paced training as a recipe, so that what becomes of it can be followed into the registry.

Its model is somebody else's mean image (`third_party`): the losses of all steps in one row, which are the
same only if every step was made from where the one before it had ended.
"""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import safetensors.numpy
from pydantic import BaseModel

from eucentric_core import GoldenChip, write_atomic
from eucentric_hpc import submit_once
from eucentric_hpc.recipes import BundleDraft, DataReport, Merit, RecipeData, RecipeProgress
from eucentric_models.engines import EngineModel

from .paced_training import paced_training_task

__all__ = ["PACED", "TASK", "write_paced_package"]

TASK = "member-0"


class _NoParameters(BaseModel):
    """There are none."""


class PacedRecipe:
    """See `Recipe` and `ScoringRecipe`."""

    name = "paced"
    engine = "template"
    Parameters = _NoParameters
    inputs = {"images": "images (.npy), to judge by"}
    merits = (Merit(name="steps", better="higher", bound=1.0),)

    def check(self, data: RecipeData, parameters: _NoParameters) -> DataReport:
        """Nothing can be wrong."""
        data.require_known(self.inputs)
        return DataReport(plan=("Train slowly.",))

    def train(
        self,
        executor: Executor,
        data: RecipeData,
        parameters: _NoParameters,
        work_dir: Path,
        *,
        progress: RecipeProgress | None = None,
    ) -> BundleDraft:
        """Train on a worker, and keep the losses."""
        work_dir.mkdir(parents=True, exist_ok=True)
        done = submit_once(executor, work_dir / "tasks", TASK, paced_training_task, str(work_dir)).result()
        losses = np.array([done["losses"]], np.float32)
        files = {name: work_dir / name for name in ("mean.safetensors", "drift.json", "in.npy", "out.npy")}
        write_atomic(files["mean.safetensors"], safetensors.numpy.save({"mean": losses}))
        write_atomic(files["drift.json"], b"{}")
        np.save(files["in.npy"], losses, allow_pickle=False)
        np.save(files["out.npy"], np.zeros(1, np.float32), allow_pickle=False)
        return BundleDraft(
            engine=self.engine,
            classes=("distance",),
            files=files,
            members=("mean.safetensors",),
            drift_reference="drift.json",
            golden=(GoldenChip(frame="in.npy", expected="out.npy", max_abs_error=1e-6),),
            metrics={"steps": float(losses.size)},
            report=("Trained slowly.",),
        )

    def score(self, model: EngineModel, data: RecipeData) -> dict[str, float]:
        """As good as it is long."""
        return {"steps": model.description.metrics["steps"]}


PACED = PacedRecipe()


def write_paced_package(site: Path) -> None:
    """Let Python find the recipe by its entry point in a folder of installed packages."""
    folder = site / "paced-1.0.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: paced\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[eucentric.recipes]\npaced = tests.hpc.paced_recipe:PACED\n")
