"""What a network is, without its weights and without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class NetworkSpec(BaseModel):
    """Architecture of one ensemble member.

    Attributes:
        kind: family: ``unet``; ``resunet`` with residual blocks, for deeper networks; ``fast`` with half the
            convolutions.
        n_classes: heat maps, one per detectable class.
        base_filters: channels of the finest level, a multiple of 4; doubles with each level.
        depth: number of downsamplings behind the stem.
        stem_factor: pixels per side that the stem folds into channels, so that all work is done at
            1 / stem_factor of the resolution; maps come out at full resolution.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["unet", "resunet", "fast"] = "unet"
    n_classes: int = Field(ge=1, le=32)
    base_filters: int = Field(default=16, ge=4, le=256, multiple_of=4)
    depth: int = Field(default=2, ge=1, le=5)
    stem_factor: Literal[1, 2, 4, 8, 16] = 2

    @property
    def size_multiple(self) -> int:
        """Frame sides are padded to a multiple of this."""
        return int(self.stem_factor * 2**self.depth)

    @property
    def embedding_size(self) -> int:
        """Length of the pooled bottleneck feature vector."""
        return int(self.base_filters * 2**self.depth)
