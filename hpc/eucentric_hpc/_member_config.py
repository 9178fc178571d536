"""How one ensemble member is trained."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from eucentric_models import Decoding, NetworkSpec

from ._augmentation import Augmentation

_CROP_FOLDED_PX = 24
"""Side of a crop behind the stem, about one and a half receptive fields of a network of depth 1."""


class MemberConfig(BaseModel):
    """Budget and recipe of one member.

    Attributes:
        steps: optimiser steps.
        batch_size: crops per step.
        crop_px: side of a crop, a multiple of 16.
        learning_rate: peak of the schedule (linear warm-up, cosine decay).
        warmup_fraction: share of the steps spent warming up.
        weight_decay: of AdamW.
        swa_fraction: share of the steps, at the end, whose weights are averaged; 0 keeps the last ones.
        seed: of initial weights, shuffling and augmentation.
        target_sigma_px: rms width of the target peaks.
        positive_weight: extra weight of the loss at the peaks, which cover few pixels.
        checkpoint_every_steps: interval of checkpoints.
        torch_threads: threads of this member.
        augmentation: random changes to the crops.
        loss: ``bce``, weighted binary cross-entropy, or ``focal``, which looks harder at what is still wrong.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=120, ge=1, le=1_000_000)
    batch_size: int = Field(default=8, ge=1, le=1024)
    crop_px: int = Field(default=128, ge=16, le=2048, multiple_of=16)
    learning_rate: float = Field(default=3e-3, gt=0, le=1)
    warmup_fraction: float = Field(default=0.1, ge=0, le=0.5)
    weight_decay: float = Field(default=1e-4, ge=0, le=1)
    swa_fraction: float = Field(default=0.2, ge=0, lt=1)
    seed: int = Field(default=0, ge=0, lt=2**63)
    target_sigma_px: float = Field(default=2.0, gt=0, le=20)
    positive_weight: float = Field(default=10.0, ge=0, le=1000)
    checkpoint_every_steps: int = Field(default=50, ge=1)
    torch_threads: int = Field(default=1, ge=1, le=256)
    augmentation: Augmentation = Augmentation()
    loss: Literal["bce", "focal"] = "bce"

    @property
    def swa_steps(self) -> int:
        """How many of the last steps are averaged."""
        return int(self.steps * self.swa_fraction)

    def fitted_to(self, network: NetworkSpec, decoding: Decoding) -> MemberConfig:
        """The recipe for another architecture.

        Crops keep the number of folded pixels, so they show a network as much of its receptive field and cost
        the same, and targets get the peak width that decoding expects.

        Raises:
            ValidationError: such crops would be too large.
        """
        crop_px = _CROP_FOLDED_PX * network.stem_factor
        fitted = {"crop_px": crop_px, "target_sigma_px": decoding.peak_sigma_px}
        return type(self).model_validate({**self.model_dump(), **fitted})

    @model_validator(mode="after")
    def _average_has_samples(self) -> Self:
        if self.swa_fraction > 0 and self.swa_steps < 2:
            raise ValueError(
                f"swa_fraction {self.swa_fraction} of {self.steps} steps leaves fewer than 2 to average"
            )
        return self
