"""How many chips are none of the classes in frames like those a support set was made for."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, ValidationError

from eucentric_core import FrozenModel

from ..errors import DriftReferenceError

_LEAST_LIMIT = 0.05


class RejectReference(FrozenModel):
    """The drift reference of a few-shot model: an image full of "none of these" is one it was not made for.

    Attributes:
        limit: share of rejected chips that is the edge of normal.
        frames: how many frames it was seen on; 0 if only the declared rate is known.
    """

    limit: Annotated[float, Field(gt=0, le=1)]
    frames: Annotated[int, Field(ge=0)]

    @classmethod
    def of(cls, rejected: float | None, false_reject_rate: float) -> Self:
        """From the share of rejected chips in a frame that is known to be good, None if there is none."""
        usual = max(false_reject_rate, rejected or 0.0)
        return cls(limit=min(1.0, max(_LEAST_LIMIT, 3 * usual)), frames=int(rejected is not None))

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """What `model_dump_json` wrote.

        Raises:
            DriftReferenceError: it is something else.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise DriftReferenceError(
                f"The drift reference of the few-shot model cannot be read: {error}.",
                safe="the model was not opened.",
                next_step="build the model again.",
            ) from error

    def score(self, rejected: float) -> float:
        """Below 1 a frame with this share of rejected chips is normal."""
        return rejected / self.limit
