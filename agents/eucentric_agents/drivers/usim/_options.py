"""What can be chosen about the simulated Nion microscope. Metres, seconds, amperes, volts, radians."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from eucentric_models.landscape import LandscapeRecipe

from .._options import DriverOptions
from ..twin import ColumnOptions, DetectorOptions, SpecimenOptions, TwinOptions

__all__ = ["UsimOptions"]

_NION_STAGE_M = 1e-6
_NION_FIELD_M = 2e-7


class UsimOptions(DriverOptions):
    """Options of the driver `usim`.

    `sample` is `twin` for the digital twin's specimen, published with its ground truth, or `nion` for the
    flakes that come with Nion's simulator, without one. For the twin's specimen, `seed`, `material`,
    `specimen`, `landscape`, `column` and `detector` mean what they mean there; the stage, the beam shift
    and the cameras are Nion's. `stage_limit_m` is how far the stage may go from its middle along x and y;
    half the specimen where it is left out.
    """

    sample: Literal["twin", "nion"] = "twin"
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    material: Literal["mos2", "graphene", "gold_on_carbon"] = "mos2"
    stage_limit_m: Annotated[float, Field(gt=0, le=1e-3)] | None = None
    specimen: SpecimenOptions = SpecimenOptions()
    landscape: LandscapeRecipe = LandscapeRecipe()
    column: ColumnOptions = ColumnOptions()
    detector: DetectorOptions = DetectorOptions()

    @property
    def twin(self) -> TwinOptions:
        """The same choices as the digital twin knows them."""
        return TwinOptions(
            seed=self.seed,
            material=self.material,
            specimen=self.specimen,
            landscape=self.landscape,
            column=self.column,
            detector=self.detector,
        )

    @property
    def extent_m(self) -> float:
        """Length of the specimen's edge."""
        return self.twin.extent_m if self.sample == "twin" else _NION_STAGE_M

    @property
    def field_of_view_m(self) -> float:
        """Field of view at the start."""
        if self.sample == "twin":
            return self.twin.field_of_view_m
        return self.column.field_of_view_m or _NION_FIELD_M

    @model_validator(mode="after")
    def _known_to_the_twin(self) -> Self:
        _ = self.twin
        return self
