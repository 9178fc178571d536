"""Survey, then spectra where they tell most: deep kernel learning chooses the next point.

A network and a Gaussian process learn from patches of the survey image and the spectra taken so far which
point is worth the next one (Roccapriore, Dyck, Oxley, Ziatdinov, Kalinin, ACS Nano 16, 7605, 2022).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import h5py
import numpy as np
import numpy.typing as npt
from pydantic import Field, JsonValue

from eucentric_core import ConfigurationError, Frame, FrozenModel, Microscope
from eucentric_models.surrogate import AcquisitionLog, PatchGrid, SurrogateSpec, explore, patches_at

from ._checkpoint import StepRecord
from ._exposure import Exposure
from ._extras import needs
from ._run import Procedure, Steps
from ._spectra import EnergyWindow, SpectrumExposure, window_share

__all__ = ["SurveyPlan", "SurveyResult", "SurveySpectroscopy"]


class SurveyPlan(FrozenModel):
    """A survey image, and `budget` spectra at points of a grid on it.

    `initial` points are drawn; then the surrogate chooses by `acquisition`: `ei` expected improvement, `ucb`
    upper confidence bound, `variance` where it knows least. What is sought is a large share of the spectrum
    inside `window`.
    """

    survey: Exposure = Exposure(height_px=128, width_px=128)
    spectrum: SpectrumExposure = SpectrumExposure()
    window: EnergyWindow = EnergyWindow()
    stride_px: Annotated[int, Field(ge=1, le=1024)] = 8
    patch_px: Annotated[int, Field(ge=3, le=129)] = 15
    initial: Annotated[int, Field(ge=2, le=1000)] = 8
    budget: Annotated[int, Field(ge=2, le=10_000)] = 24
    acquisition: Literal["ei", "ucb", "variance"] = "ei"
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0


@dataclass(frozen=True, slots=True)
class SurveyResult:
    """What was found.

    Attributes:
        survey: the image (ny, nx).
        log: every measurement, and why it was made there.
        spectra: (n, channels), in the order of the log.
        energy_ev: (channels,).
    """

    survey: Frame
    log: AcquisitionLog
    spectra: npt.NDArray[np.float64]
    energy_ev: npt.NDArray[np.float64]

    def save(self, path: Path) -> None:
        """Write one HDF5 file; it appears under its name once it is complete."""
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            with h5py.File(temporary, "w") as file:
                image = file.create_dataset("survey", data=self.survey.array)
                image.attrs["header"] = self.survey.header.model_dump_json()
                file.create_dataset("spectra", data=self.spectra)
                file.create_dataset("energy_ev", data=self.energy_ev)
                points = [(record.y_px, record.x_px) for record in self.log.records]
                file.create_dataset("points_px", data=np.array(points, np.int64))
                file.create_dataset("values", data=[record.value for record in self.log.records])
                file.attrs["log"] = self.log.model_dump_json()
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)


class SurveySpectroscopy(Procedure[SurveyResult]):
    """Takes the survey, then one spectrum after the other where the surrogate says.

    Args:
        plan: what to do.
    """

    name = "survey-spectroscopy"

    def __init__(self, plan: SurveyPlan) -> None:
        self.plan = plan

    def parameters(self) -> Mapping[str, JsonValue]:
        """The plan."""
        return {"plan": self.plan.model_dump(mode="json")}

    def perform(self, scope: Microscope, steps: Steps) -> SurveyResult:
        """Survey and measure. Done again with the same checkpoint, it asks for the same points.

        Raises:
            ConfigurationError: the plan wants more points than the grid has.
            UnsupportedError: gpytorch is not installed, or the instrument has no such spectrometer.
        """
        plan = self.plan
        process = needs("eucentric_models.surrogate.process", extra="dkl")
        torch = needs("torch", extra="dkl")
        steps.total = 1 + plan.budget
        survey = steps.do(
            "survey", lambda: StepRecord(frames={"survey": plan.survey.take(scope)}), picture="survey"
        )
        image = survey.frames["survey"]
        spec = SurrogateSpec(patch_px=plan.patch_px)
        grid = PatchGrid.of_image(image.array.shape, patch_px=plan.patch_px, stride_px=plan.stride_px)
        if not plan.initial <= plan.budget <= len(grid.positions_px):
            raise ConfigurationError(
                f"{plan.initial} first points, {plan.budget} in all, and a grid of {len(grid.positions_px)}.",
                safe="only the survey image was taken.",
                next_step="choose initial <= budget <= points of the grid, e.g. by a smaller stride_px.",
            )
        height, width = image.array.shape
        spectra: list[Frame] = []

        def measure(index: int) -> float:
            y_px, x_px = (int(side) for side in grid.positions_px[index])

            def work() -> StepRecord:
                taken = plan.spectrum.take(
                    scope, y_fraction=(y_px + 0.5) / height, x_fraction=(x_px + 0.5) / width
                )
                return StepRecord(frames={"spectrum": taken})

            done = steps.do(f"spectrum {len(spectra)} at ({y_px}, {x_px})", work)
            spectra.append(done.frames["spectrum"])
            return window_share(spectra[-1], plan.window)

        log = explore(
            process.DeepKernelProcess(spec, torch.Generator().manual_seed(plan.seed)),
            patches_at(image.array, grid.positions_px, plan.patch_px),
            grid.positions_px,
            measure,
            acquisition=plan.acquisition,
            initial=plan.initial,
            budget=plan.budget,
            rng=np.random.default_rng(plan.seed),
        )
        axis = spectra[0].header.axes[-1]
        counts = np.stack([np.asarray(frame.array, np.float64).ravel() for frame in spectra])
        energy_ev = np.asarray(axis.offset + axis.scale * np.arange(counts.shape[1]), np.float64)
        return SurveyResult(image, log, counts, energy_ev)
