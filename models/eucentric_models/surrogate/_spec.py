"""What a surrogate is, without its weights and without torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["SurrogateSpec"]


class SurrogateSpec(BaseModel):
    """A network from patches to a few features, and a Gaussian process on them.

    Attributes:
        patch_px: side of a patch, odd, so that it has a middle.
        hidden: width of the network's two hidden layers.
        features: numbers that the process sees of a patch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    patch_px: int = Field(default=15, ge=3, le=129, multiple_of=1)
    hidden: int = Field(default=48, ge=4, le=1024)
    features: int = Field(default=2, ge=1, le=16)

    @property
    def reach_px(self) -> int:
        """From the middle of a patch to its edge."""
        return self.patch_px // 2
